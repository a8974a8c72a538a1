"""`tune-distill attack MODEL`: what attacks do to any Hugging Face sequence classifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_distill.cli.options import Json, Overrides, say
from tune_distill.errors import DataError, SpecError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tune_distill.cli.rows import Given
    from tune_distill.measure.robustness import Robustness
    from tune_distill.robustness import Attack
    from tune_distill.robustness.opened import Opened
    from tune_distill.spec import StudySpec
    from tune_distill.spec.attacks import AttackResources

MAX_LENGTH = 128  # tokens, of rows from a file


def attack(
    model: Annotated[str, typer.Argument(help="A sequence classifier: folder or hub id.")],
    study: Annotated[
        str | None, typer.Option("--study", "--task", help="A study, whose task's rows are read.")
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    split: Annotated[str, typer.Option(help="Of the study's task: search or heldout.")] = "search",
    rows: Annotated[Path | None, typer.Option(help="A file of rows, in a study's place.")] = None,
    text: Annotated[list[str], typer.Option(help="Its text column; twice for pairs.")] = ["text"],  # noqa: B006
    label: Annotated[str, typer.Option(help="Its label column: class numbers or names.")] = "label",
    recipe: Annotated[
        list[str], typer.Option(help="char, pruthi, table, wordnet, bae, textbugger; repeatable.")
    ] = ["char"],  # noqa: B006
    order: Annotated[
        str | None, typer.Option(help="gradient, unk, delete, random, saliency: which word first.")
    ] = None,
    budget: Annotated[int, typer.Option(min=0, help="Queries a row; 0: as many as it takes.")] = 30,
    profile: Annotated[str, typer.Option(help="lax or strict: how far a text may change.")] = "lax",
    side: Annotated[int, typer.Option(min=-1, max=1, help="Of a pair: 0 or 1; -1, the last.")] = -1,
    limit: Annotated[int, typer.Option(min=1, help="Rows: fixed, stratified.")] = 400,
    table: Annotated[str | None, typer.Option(help="A file of neighbours.")] = None,
    wordnet: Annotated[str | None, typer.Option(help="WordNet's dict folder.")] = None,
    masked_lm: Annotated[str | None, typer.Option(help="A masked LM: folder or hub id.")] = None,
    max_length: Annotated[int | None, typer.Option(min=4, help="Tokens of a row.")] = None,
    check_gradient: Annotated[
        bool, typer.Option(help="Attack again by leaving words out: is the gradient masked?")
    ] = False,
    examples: Annotated[int, typer.Option(min=0, help="Flipped rows to show.")] = 5,
    html: Annotated[Path | None, typer.Option(help="Write a page with every flipped row.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the adversarial rows: .parquet.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    as_json: Json = False,
) -> None:
    """Attack a classifier; robust accuracy, success rate, queries and changed words."""
    import torch

    from tune_distill import teacher
    from tune_distill.cli.attack_page import page
    from tune_distill.cli.attacked import print_attacked, save_rows, summary
    from tune_distill.measure.robustness import masked_gradients, robustness, select_rows
    from tune_distill.spec.attacks import AttackResources
    from tune_distill.spec.load import find, load
    from tune_distill.teacher.locate import locate

    if (study is None) == (rows is None):
        raise SpecError("attack: give either --study STUDY or --rows FILE, whose rows are read")
    recipes = [_asked(name, order, profile, budget, side) for name in recipe]
    spec = load(find(study), overrides) if study else None
    asked = AttackResources(table=table, wordnet=wordnet, masked_lm=masked_lm)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    resources = _resources(asked, spec, recipes, device)
    folder = locate(model, "attack")
    loaded, tokenizer = teacher.load(folder, model), teacher.load_tokenizer(folder)
    given = _rows(loaded, spec, split, rows, text, label, max_length)
    chosen = select_rows(given.rows.labels.astype("int64"), limit)
    taken = given.rows.take(chosen)
    torch.nn.Module.to(loaded, device)

    def attacked(recipes: list[Attack]) -> Robustness:
        return robustness(
            loaded,
            tokenizer,
            taken.texts,
            taken.labels.astype("int64"),
            recipes,
            max_length=given.max_length,
            device=device,
            resources=resources,
        )

    found = attacked(recipes)
    masked = None
    if check_gradient:
        masked = masked_gradients(found, attacked([one.ordered("delete") for one in recipes]))
    data = summary(found, given, chosen, model, masked)
    if save is not None:
        save_rows(data, given.columns, save)
        say(f"adversarial rows: {save}")
    if html is not None:
        html.write_text(page(data), encoding="utf-8")
        say(f"page: {html}")
    if as_json:
        typer.echo(json.dumps(data, indent=1))
    else:
        print_attacked(data, examples)


def _asked(name: str, order: str | None, profile: str, budget: int, side: int) -> Attack:
    from dataclasses import replace

    from tune_distill.robustness import ATTACKS
    from tune_distill.spec.problems import did_you_mean

    if name not in ATTACKS:
        known = list(ATTACKS)
        raise SpecError(f"--recipe {name}: there are {', '.join(known)}{did_you_mean(name, known)}")
    if profile not in ("lax", "strict"):
        raise SpecError(f"--profile {profile}: there are lax, strict")
    made = ATTACKS[name].ordered(order).within(budget or None)
    return replace(made, side=side).under("strict" if profile == "strict" else "lax")


def _resources(
    asked: AttackResources, spec: StudySpec | None, recipes: list[Attack], device: str
) -> Opened:
    """What the recipes read: as the options say, or else the study."""
    from tune_distill.robustness.given import open_given

    given = asked
    if spec is not None:
        own = spec.robustness.resources.model_dump()
        given = asked.model_copy(
            update={name: getattr(asked, name) or value for name, value in own.items()}
        )
    needed = list(dict.fromkeys(name for recipe in recipes for name in recipe.resources))
    builtin = spec is not None and spec.task.builtin is not None
    return open_given(given, needed, device, builtin=builtin)


def _rows(
    model: PreTrainedModel,
    spec: StudySpec | None,
    split: str,
    rows: Path | None,
    text: list[str],
    label: str,
    max_length: int | None,
) -> Given:
    from dataclasses import replace

    from tune_distill.cli.rows import of_file, of_study
    from tune_distill.teacher.suit import own_names

    names = own_names(model)
    if rows is not None:
        if len(text) > 2:
            raise DataError(f"--text: one column, or the two of a pair; got {', '.join(text)}")
        return of_file(rows, text, label, max_length or MAX_LENGTH, names)
    if spec is None:
        raise SpecError("attack: give --study STUDY or --rows FILE")
    given = of_study(spec, split, names)
    return replace(given, max_length=max_length or given.max_length)
