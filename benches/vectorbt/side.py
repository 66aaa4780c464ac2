"""vectorbt's side of compare.py: DIRECTORY FEE REPEATS ENGINE. Prints a line of JSON; checks equity.f64 if it is there."""

import time

started = time.perf_counter()
import json
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd
import vectorbt as vbt

imported = time.perf_counter() - started
warnings.simplefilter("ignore")
CAPITAL, ALLOCATION = 100_000.0, 0.1


def peak_kb() -> int:
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


directory, fee, repeats, engine = pathlib.Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
started = time.perf_counter()
close = np.fromfile(directory / "close.f64")
# A column a signal, as vectorbt has it.
signals = np.fromfile(directory / "signals.f64").reshape(-1, len(close)).T.copy()
loaded = time.perf_counter() - started
price, weights = pd.Series(close), pd.DataFrame(ALLOCATION * signals)


def backtest():
    # The order of a bar brings the weight that is held from its close on.
    return vbt.Portfolio.from_orders(
        price, weights, size_type="targetpercent", fees=fee, init_cash=CAPITAL, freq="1min", engine=engine
    )


def metrics(portfolio):
    """Of the nine metrics of document 004, those that vectorbt has: no stability, no information coefficient."""
    trades = portfolio.trades
    return [
        portfolio.total_return(),
        portfolio.sharpe_ratio(),
        portfolio.max_drawdown(),
        portfolio.orders.count(),
        trades.win_rate(),
        trades.profit_factor(),
        trades.returns.mean(),
    ]


def spent(since):
    return [time.perf_counter() - since[0], time.process_time() - since[1]]


accounts, whole, peak_account = [], [], 0
for round in range(repeats + 1):
    since = time.perf_counter(), time.process_time()
    portfolio = backtest()
    value = portfolio.value()
    accounts.append(spent(since))
    peak_account = peak_account or peak_kb()
    # Without repeats, only the accounts are compared.
    found = metrics(portfolio) if repeats else [portfolio.total_return()]
    whole.append(spent(since))

# vectorbt's value comes after the order of the bar has been paid, ours before: take the payment off.
difference = None
if (directory / "equity.f64").exists():
    ours = np.fromfile(directory / "equity.f64").reshape(-1, len(close)).T
    target = weights.to_numpy()
    held = np.vstack([np.zeros(target.shape[1]), target[:-1]])
    returns = np.concatenate([[0.0], close[1:] / close[:-1] - 1])[:, None]
    net = np.vstack([np.full(target.shape[1], ours[0] / CAPITAL - 1), ours[1:] / ours[:-1] - 1])
    drifted = held * (1 + returns) / (1 + net)
    # In the bar of the order before, its payment lowers the account that the weight is a share of.
    expected = ours * (1 - fee * np.abs(target - drifted))
    difference = float(np.max(np.abs(value.to_numpy() / expected - 1)))

def warm(times):
    return [sum(part) / repeats for part in zip(*times[1:])] if repeats else None


print(
    json.dumps(
        dict(
            engine=engine, imported=imported, load=loaded, first=whole[0], warm=warm(whole), account=warm(accounts),
            peak_kb=peak_kb(), peak_account_kb=peak_account, difference=difference, sum_of_returns=float(found[0].sum()),
        )
    )
)
