#!/usr/bin/python3
"""Trains the demo model; see README.md. Called by tools/demo_model/make, or alone:

train.py --out FOLDER [--steps N] [--minutes M]: writes FOLDER/tokenizer.json, FOLDER/model.pt (resumed from where it exists) and
FOLDER/log.jsonl. The schedule goes by steps, so the same seed gives the same run; --minutes bounds it: where time runs out
first, the schedule goes by time instead, ends early, and the log says so.

Each core computes its share of a batch in a process of its own, with one thread: threads that meet at every operation waste most of
a machine that others use too. Weights and gradients lie in shared memory; the first process steps.
"""

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import os
import pathlib
import time

import fast_cpu

if __name__ == "__main__":
    fast_cpu.restart_with_settings()
torch = fast_cpu.import_torch()

import byte_pairs
import documents
import optimizers
from llama_model import Llama, Shape

VOCABULARY = 1536
TOKENIZER_DOCUMENTS = 8000
ROW, ROW_LONG = 256, 512  # the last LONG_SHARE of training sees rows as long as the context
LONG_SHARE = 0.1
BATCH_TOKENS = 4096
PROMPT_WEIGHT = 0.2  # of the loss on what the user says, beside 1 for answers
WARM_UP_STEPS = 40
COOL_DOWN_SHARE = 0.8
LR_MATRICES, LR_REST = 0.015, 0.003
POOL = 64
JUDGED = {"sum": 60, "comparison": 40, "world": 60, "reading": 60, "troupe": 40}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for everything that is written")
    parser.add_argument("--steps", type=int, default=2000, help=f"of {BATCH_TOKENS} tokens each (default 2000)")
    parser.add_argument("--minutes", type=float, default=120, help="most minutes of training (default 120)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that compute (default: the cores)")
    parser.add_argument("--judge-every", type=int, default=100, help="steps between two looks at the held-out questions")
    return parser.parse_args()


def tokenizer_in(folder, seed):
    path = folder / "tokenizer.json"
    if not path.exists():
        writer = documents.Writer(seed, held_out=False)
        texts = [text for _ in range(TOKENIZER_DOCUMENTS) for text, _ in writer.document()[1] if text not in documents.CONTROL]
        path.write_text(json.dumps(byte_pairs.train(texts, VOCABULARY)))
    return byte_pairs.Tokenizer(json.loads(path.read_text()))


class Rows:
    """Packs whole documents, which do not see each other, into rows of a given length; what is left at a row's end counts nothing."""

    def __init__(self, writer, tokenizer):
        self.writer, self.tokenizer, self.pool = writer, tokenizer, []
        self.padding = tokenizer.ids[documents.END]

    def row(self, length):
        ids, weights, numbers = [], [], []
        for number in itertools.count():
            while len(self.pool) < POOL:
                self.pool.append(self.tokenizer.encode_document(self.writer.document()[1]))
            fits = next((index for index, (more, _) in enumerate(self.pool) if len(ids) + len(more) <= length + 1), None)
            if fits is None:
                break
            more, learnt = self.pool.pop(fits)
            ids += more
            numbers += [number] * len(more)
            weights += [1.0 if counts else PROMPT_WEIGHT for counts in learnt]
            weights[-len(more)] = 0.0  # the start token is never an answer
        short = length + 1 - len(ids)
        return ids + [self.padding] * short, weights + [0.0] * short, numbers + [-1] * short

    def batch(self, rows, length):
        """ids, weights of the loss, numbers of the documents: each [rows, length + 1]."""
        return [torch.tensor(part) for part in zip(*(self.row(length) for _ in range(rows)))]


def loss_of(model, ids, weights, numbers):
    logits = model(ids[:, :-1], numbers[:, :-1])
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weights = weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


@torch.no_grad()
def judge(model, tokenizer, questions):
    """kind -> share of held-out questions that greedy decoding answers word for word (each answer token is the best one after those
    before it, which is the same)."""
    shares = {}
    for kind, pairs in questions.items():
        rows = []
        for index, pair in enumerate(pairs):
            pieces = documents.plain(*pair) if index % 2 else documents.chat([pair])
            rows.append(tokenizer.encode_document(pieces))
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
        learnt = torch.tensor([marks + [False] * (longest - len(marks)) for _, marks in rows])
        best = model(ids[:, :-1]).argmax(-1)
        right = (best == ids[:, 1:]) | ~learnt[:, 1:]
        shares[kind] = round(right.all(-1).float().mean().item(), 3)
    return shares


def factor_at(progress, step):
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return warm * min(1.0, (1 - progress) / COOL_DOWN_SHARE)


class Worker:
    """One process's part of every batch. Its gradients go to a row of `gradients`, its loss to `losses`."""

    def __init__(self, rank, arguments, model, tokenizer, step, shared):
        self.model, self.share = model, BATCH_TOKENS // arguments.workers
        self.rows = Rows(documents.Writer(f"{arguments.seed} {rank} {step}", held_out=False), tokenizer)
        self.gradients, self.losses = shared["gradients"][rank], shared["losses"]
        self.rank = rank

    def compute(self, length):
        self.model.zero_grad(set_to_none=True)
        loss = loss_of(self.model, *self.rows.batch(max(1, self.share // length), length))
        loss.backward()
        torch.cat([parameter.grad.flatten() for parameter in self.model.parameters()], out=self.gradients)
        self.losses[self.rank] = loss.item()


def work(rank, arguments, model, tokenizer, step, shared):
    """A process beside the first: computes whenever `length` is set, until it is 0."""
    torch.set_num_threads(1)
    worker = Worker(rank, arguments, model, tokenizer, step, shared)
    while True:
        shared["barrier"].wait()
        length = shared["length"].value
        if length == 0:
            return
        worker.compute(length)
        shared["barrier"].wait()


class Run:
    """Weights, optimizers, and how far they have come; kept in FOLDER/model.pt."""

    def __init__(self, arguments, tokenizer):
        self.path = arguments.out / "model.pt"
        self.model = Llama(Shape(vocabulary=len(tokenizer.texts))).share_memory()
        self.steppers = optimizers.make(self.model, LR_MATRICES, LR_REST)
        self.lrs = [group["lr"] for stepper in self.steppers for group in stepper.param_groups]
        self.step, self.seconds = 0, 0.0
        if self.path.exists():
            state = torch.load(self.path)
            self.model.load_state_dict(state["model"])
            for stepper, kept in zip(self.steppers, state["steppers"]):
                stepper.load_state_dict(kept)
            self.step, self.seconds = state["step"], state["seconds"]

    def save(self):
        part = self.path.with_suffix(".part")
        torch.save({"shape": dataclasses.asdict(self.model.shape), "model": self.model.state_dict(), "step": self.step,
                    "seconds": self.seconds, "steppers": [stepper.state_dict() for stepper in self.steppers]}, part)
        part.replace(self.path)

    def apply(self, gradient, factor):
        parts = gradient.split([parameter.numel() for parameter in self.model.parameters()])
        for parameter, part in zip(self.model.parameters(), parts):
            parameter.grad = part.view_as(parameter)
        groups = [group for stepper in self.steppers for group in stepper.param_groups]
        for group, lr in zip(groups, self.lrs):
            group["lr"] = lr * factor
        for stepper in self.steppers:
            stepper.step()
        self.step += 1


def train(arguments, run, tokenizer, log):
    count = sum(parameter.numel() for parameter in run.model.parameters())
    shared = {"gradients": torch.zeros(arguments.workers, count).share_memory_(), "losses": torch.zeros(arguments.workers).share_memory_(),
              "barrier": multiprocessing.Barrier(arguments.workers), "length": multiprocessing.Value("i", 0)}
    others = [multiprocessing.Process(target=work, args=(rank, arguments, run.model, tokenizer, run.step, shared), daemon=True)
              for rank in range(1, arguments.workers)]
    for other in others:
        other.start()
    worker = Worker(0, arguments, run.model, tokenizer, run.step, shared)
    questions = documents.questions_held_out(JUDGED, arguments.seed)
    started, mean = time.monotonic() - run.seconds, None
    while True:
        run.seconds = time.monotonic() - started
        by_steps, by_time = run.step / arguments.steps, run.seconds / (60 * arguments.minutes)
        progress = max(by_steps, by_time)
        done = progress >= 1
        if run.step % arguments.judge_every == 0 or done:
            log.write(json.dumps({"step": run.step, "seconds": round(run.seconds), "progress": round(progress, 3),
                                  "bound_by_time": by_time > by_steps, "loss": mean and round(mean, 4),
                                  "held_out": judge(run.model, tokenizer, questions)}) + "\n")
            run.save()
        shared["length"].value = 0 if done else ROW_LONG if progress > 1 - LONG_SHARE else ROW
        shared["barrier"].wait()
        if done:
            break
        worker.compute(shared["length"].value)
        shared["barrier"].wait()
        run.apply(shared["gradients"].mean(0), factor_at(progress, run.step))
        loss = shared["losses"].mean().item()
        mean = loss if mean is None else 0.95 * mean + 0.05 * loss
    for other in others:
        other.join()


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    tokenizer = tokenizer_in(arguments.out, arguments.seed)
    run = Run(arguments, tokenizer)
    with (arguments.out / "log.jsonl").open("a", buffering=1) as log:
        log.write(json.dumps({"parameters": run.model.parameter_count(), "vocabulary": len(tokenizer.texts), "step": run.step}) + "\n")
        train(arguments, run, tokenizer, log)


if __name__ == "__main__":
    main()
