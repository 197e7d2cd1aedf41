"""Exact Shapley values from all 2^n subsets of n players (Shapley 1953).

In   a game, or its table: float64 [2^n], the value of subset number s at place s, little-endian (bit k = player k)
Out  float64 [n]
"""

from math import comb

import numpy as np

from models.shapley.game import DEFAULT_BATCH_SIZE, Evaluator, FloatArray, Game, subset_masks

# A million values. Each further player doubles both the table and the calls of the game.
MAX_EXACT_PLAYERS = 20


def check_player_count(n_players: int) -> None:
    """Raises ValueError for games without players, and for more than 20, whose table would not fit."""
    if not 1 <= n_players <= MAX_EXACT_PLAYERS:
        subsets = f" (2^{n_players} subsets)" if n_players > MAX_EXACT_PLAYERS else ""
        raise ValueError(
            f"exact values are for 1 to {MAX_EXACT_PLAYERS} players, found {n_players}{subsets}: use fewer parts"
        )


def shapley_weights(n_players: int) -> FloatArray:
    """Weights of a player joining s others: s! (n - s - 1)! / n! for s = 0 to n - 1, float64 [n]."""
    return np.array([1 / (n_players * comb(n_players - 1, size)) for size in range(n_players)])


def values_from_table(table: FloatArray) -> FloatArray:
    """Shapley values float64 [n], summing to table[-1] - table[0], from the values of all subsets, float64 [2^n]."""
    n_players = max(table.size.bit_length() - 1, 0)
    if table.shape != (1 << n_players,):
        raise ValueError(f"a table holds 2^n_players values, found an array of {table.shape}")
    check_player_count(n_players)
    weights = shapley_weights(n_players)[np.bitwise_count(np.arange(1 << n_players >> 1))]
    values = np.empty(n_players)
    for player in range(n_players):
        # Splits the subset's number into the bits above the player's, the player's own and those below.
        split = np.asarray(table, dtype=np.float64).reshape(-1, 2, 1 << player)
        # Without the player's bit, the numbers of the remaining subsets count up from 0: sizes as in `weights`.
        values[player] = weights @ (split[:, 1] - split[:, 0]).ravel()
    return values


def exact_values(game: Game, n_players: int, batch_size: int = DEFAULT_BATCH_SIZE) -> FloatArray:
    """Shapley values float64 [n_players] of a game by asking it for every subset: 2^n_players evaluations.

    They sum to v(all) - v(none). `batch_size`, the most masks per call of the game, does not change them.
    """
    check_player_count(n_players)
    evaluate = Evaluator(game, np.zeros((0, n_players), dtype=np.bool_), batch_size)
    table = np.empty(1 << n_players)
    for start in range(0, len(table), batch_size):
        stop = min(start + batch_size, len(table))
        table[start:stop] = evaluate(subset_masks(n_players, start, stop))
    return values_from_table(table)
