"""Selenium: Python statements of Selenium IDE's export, read as a tree and held against an allow-list.

Nothing here runs them. A tag in a string becomes a placeholder of its own, so that a value is never Python.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from executors.contract import Text
from executors.language.findings import Finding, finding
from executors.language.source import Line
from executors.language.steps import Step
from executors.language.tags import names, text_of

NAMES: Final = names("""
    self driver vars By Keys WebDriverWait expected_conditions EC ActionChains Select print timeout
    True False None len str int
    """)
ATTRIBUTES: Final = names("""
    driver vars get title current_url page_source refresh back forward find_element find_elements
    switch_to frame default_content parent_frame window alert active_element accept dismiss
    window_handles current_window_handle set_window_size maximize_window
    implicitly_wait execute_script close quit
    click clear send_keys submit text get_attribute is_displayed is_enabled is_selected location size
    until until_not move_to_element move_to_element_with_offset click_and_hold release double_click
    context_click perform pause drag_and_drop key_down key_up
    select_by_visible_text select_by_value select_by_index deselect_all first_selected_option options
    presence_of_element_located visibility_of_element_located invisibility_of_element_located
    element_to_be_clickable text_to_be_present_in_element title_contains title_is url_contains url_to_be
    frame_to_be_available_and_switch_to_it alert_is_present staleness_of presence_of_all_elements_located
    ID NAME XPATH CSS_SELECTOR CLASS_NAME LINK_TEXT PARTIAL_LINK_TEXT TAG_NAME
    ENTER RETURN TAB ESCAPE BACKSPACE DELETE SPACE HOME END CONTROL SHIFT ALT UP DOWN LEFT RIGHT
    ARROW_UP ARROW_DOWN ARROW_LEFT ARROW_RIGHT PAGE_UP PAGE_DOWN NULL
    """)
NODES: Final = (
    ast.Module, ast.Expr, ast.Assign, ast.Assert, ast.If, ast.Pass, ast.Call, ast.keyword, ast.Attribute,
    ast.Name, ast.Constant, ast.Compare, ast.BoolOp, ast.BinOp, ast.Add, ast.UnaryOp, ast.Subscript,
    ast.Slice, ast.Tuple, ast.List, ast.Load, ast.Store, ast.cmpop, ast.boolop, ast.unaryop,
)  # fmt: skip
DEEPEST: Final = 40
IMPORT = re.compile(r"[ \t]*(?:from[ \t]+selenium[\w. ]*[ \t]+import|import[ \t]+(?:time|pytest|json))\b")
TAG = re.compile(r"\[#([A-Za-z0-9_]+)(?:\|[a-z][a-z0-9-]*)?#\]")


@dataclass(frozen=True, slots=True)
class Statement(Step):
    """One top-level statement as it is written."""

    source: Text
    checks: bool

    @property
    def texts(self) -> tuple[Text, ...]:
        return (self.source,)


def parse(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    kept = ["" if IMPORT.match(line.text) else line.text for line in lines]
    first = lines[0].number if lines else 1
    source = textwrap.dedent("\n".join(kept))
    tree = _tree(source, first, notes)
    if tree is None:
        return ()
    bad = min((node.lineno for node in _forbidden(tree)), default=0)
    if bad:
        notes.append(finding("selenium-not-allowed", bad + first - 1))
    written = source.split("\n")
    return tuple(_statement(node, written, first) for node in tree.body)


def _tree(source: str, first: int, notes: list[Finding]) -> ast.Module | None:
    if _depth(source) > DEEPEST:
        notes.append(finding("selenium-not-allowed", first))
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return ast.parse(TAG.sub(r"TAG_\1", source))
    except SyntaxError as error:
        notes.append(finding("selenium-syntax", (error.lineno or 1) + first - 1))
    except (ValueError, RecursionError, MemoryError):
        notes.append(finding("selenium-syntax", first))
    return None


def _depth(source: str) -> int:
    """Of brackets and signs that nest, counted generously: the parser itself has a limit in C."""
    deepest = depth = 0
    for char in source:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    signs = max((len(run) for run in re.findall(r"(?:[-+~][ \t]*|not[ \t]+|\*\*)+", source)), default=0)
    indents = max((len(line) - len(line.lstrip()) for line in source.split("\n")), default=0)
    return max(deepest, signs // 2, indents // 4)


def _forbidden(tree: ast.Module) -> Iterator[ast.stmt | ast.expr]:
    """What the allow-list lacks; a name that the script itself gave a value is allowed."""
    own = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for statement in tree.body:
        for node in ast.walk(statement):
            if not _allowed(node, own):
                yield node if isinstance(node, ast.stmt | ast.expr) else statement


def _allowed(node: ast.AST, own: set[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in ATTRIBUTES
    if isinstance(node, ast.Name):
        return (node.id in NAMES or node.id in own) and not node.id.startswith("__")
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name | ast.Subscript) for target in node.targets)
    return isinstance(node, NODES)


def _statement(node: ast.stmt, written: list[str], first: int) -> Statement:
    source = "\n".join(written[node.lineno - 1 : node.end_lineno])
    checks = isinstance(node, ast.Assert) or any(
        isinstance(each, ast.Attribute) and each.attr in ("until", "until_not") for each in ast.walk(node)
    )
    return Statement(node.lineno + first - 1, text_of(source), checks)
