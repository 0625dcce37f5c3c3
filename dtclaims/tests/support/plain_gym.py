"""Episodes of plain `gym.make`, one after the other: run by the legacy environment's Python, and by it alone.

    python plain_gym.py GYM_ID ACTIONS OUT

ACTIONS holds actions (episodes, steps, A). Episode i starts from seed i and goes on until it ends; OUT gets, for each
step, states, rewards and ends, the start first, and zeros after the end.
"""

import sys

import gym
import numpy as np

gym_id, actions_file, out = sys.argv[1:]
actions = np.load(actions_file, allow_pickle=False)
env = gym.make(gym_id)
episodes, steps = actions.shape[:2]
states = np.zeros((episodes, steps + 1, env.observation_space.shape[0]))
rewards, ended = np.zeros((episodes, steps)), np.zeros((episodes, steps), dtype=bool)
for episode in range(episodes):
    states[episode, 0] = env.reset(seed=episode)
    for step in range(steps):
        state, reward, done, _ = env.step(actions[episode, step])
        states[episode, step + 1], rewards[episode, step], ended[episode, step] = state, reward, done
        if done:
            break
np.savez(out, states=states, rewards=rewards, ended=ended)
