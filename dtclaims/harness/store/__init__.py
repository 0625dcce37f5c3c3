"""Where results are kept, and what makes two of them one."""
