"""Muon for the matrices inside the blocks (K. Jordan, 2024): momentum whose directions are made equally long by a Newton-Schulz
iteration. It needs about half the steps of AdamW here. Embeddings and norms go by torch's AdamW.
"""

import torch


def evened(matrix, iterations=5):
    """The matrix with its singular values moved close to 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.t() if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        square = x @ x.t()
        x = a * x + torch.addmm(square, square, square, beta=b, alpha=c) @ x
    return x.t() if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, matrices, lr, momentum=0.95, decay=0.01):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(matrix)
                state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                change = evened(matrix.grad.lerp(state["momentum"], group["momentum"]))
                longer = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.mul_(1 - group["lr"] * group["decay"]).add_(change, alpha=-group["lr"] * longer)


def make(model, lr_matrices, lr_rest):
    inner = [matrix.weight for block in model.blocks for matrix in block.matrices()]
    rest = [parameter for parameter in model.parameters() if all(parameter is not matrix for matrix in inner)]
    return [Muon(inner, lr_matrices), torch.optim.AdamW(rest, lr_rest, betas=(0.9, 0.98), weight_decay=0.0)]
