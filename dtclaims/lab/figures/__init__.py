"""The paper's figures and tables: its own values, and ours beside them."""
