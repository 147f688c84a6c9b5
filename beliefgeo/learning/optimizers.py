"""The optimisers that a budget names; any other optax transformation works too."""

import optax

from beliefgeo.learning.budget import Budget


def optimizer_of(budget: Budget) -> optax.GradientTransformation:
    """The optimiser that `Budget.optimizer` names, with its schedule."""
    if budget.optimizer == "nadam":
        rate = optax.warmup_cosine_decay_schedule(0, budget.learning_rate, budget.steps // 20, budget.steps)
        return optax.nadam(rate)
    return {"adam": optax.adam, "adamw": optax.adamw, "sgd": optax.sgd}[budget.optimizer](budget.learning_rate)


def follows_steps(budget: Budget) -> bool:
    """Whether the schedule depends on the number of steps, so that a longer training cannot continue a shorter one."""
    return budget.optimizer == "nadam"
