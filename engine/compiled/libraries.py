"""What becomes of the LLVM code of a function: it is put where it is called, or called, or was compiled before.

A *routine* is compiled once and called by every loop that needs it. Numba would hand it each field of each array of
each state, 150 words for a regression's, and take back a status: that took 46 of the 73 ns of a step. So its code takes
only what it uses. Callers link a *forwarder*: a function under the name and with all the arguments that numba calls it
by, which is put where it is called and hands on what is used. LLVM then drops all else.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from numba.core import config
from numba.core.codegen import JITCodeLibrary

LOCAL_NAME = re.compile(r'%(?:[\w.$-]+|"[^"]*")')
RETURNED = re.compile(r"^  ret (.*)$", re.MULTILINE)
DONE = "i32 0"  # the status of numba's calling convention that says that nothing went wrong
# What a caller may know of a function, and of a pointer that it hands on: LLVM's words for what it found.
KNOWN_OF_FUNCTION = re.compile(r"\b(?:nofree|norecurse|nosync|nounwind|willreturn|memory\(.*?\))(?= |$)")
KNOWN_OF_POINTER = re.compile(r"readonly|readnone|writeonly|captures\(none\)")


class Need(NamedTuple):
    """What a file is called that others need: its name and key."""

    name: str
    key: str


class Link(NamedTuple):
    """How a routine is called: the symbol of its code, and the LLVM text of its forwarder."""

    symbol: str
    forwarder: str


LINKED: dict[str, Need | None] = {}  # where the routines are kept whose code this process has, by their symbols


class Library(JITCodeLibrary):  # type: ignore[misc]
    """Code that is emitted, with all kernels below it put into it.

    Only here LLVM's whole pipeline runs, once. Numba also optimised each kernel alone, with all below, at each level of
    nesting, which took nine tenths of LLVM's time for linear policies, and made nothing faster.
    """

    def finalize(self) -> None:
        """Put in what is below, and emit."""
        self._linking_libraries = _link_all(self, self._final_module)
        super().finalize()

    def _optimize_functions(self, module: Any) -> None:
        """Leave a function as it is: the pipeline takes it with all that is put into it."""
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        """Run LLVM's pipeline. Numba runs a cheap one before it, to find references that it need not count."""
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)


class UnemittedLibrary(Library):
    """Code that no one finds by an address: numba asks for that of its wrapper for Python, and there is none."""

    def _optimize_functions(self, module: Any) -> None:
        """Make each function simple alone: a kernel is put in many times, and routines run up to a tenth faster.

        Loops stay loops: one that calls a kernel looks small before that is put in. Eight hashes written one after the
        other took three times as long to compile, and three times as long to run, as a loop that LLVM vectorises.
        Numba's own pass, which prunes counts of references, is left out: functions of ours count none.
        """
        super()._optimize_functions(module)
        options = llvm.create_pipeline_tuning_options(int(config.OPT))
        options.loop_unrolling = False
        builder = llvm.create_pass_builder(self._codegen._tm, options)
        passes = builder.getFunctionPassManager()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)

    def get_pointer_to_function(self, name: str) -> int:
        """Return the address of a function: none."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> UnemittedLibrary:
        """What numba tells about the function's environment: see `set_env`."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Numba writes the address of a function's environment into what was emitted: no kernel asks for it."""


class InlinedLibrary(UnemittedLibrary):
    """Code that is only ever put into other code, and emitted there.

    Numba would emit each kernel too, with a wrapper for Python that holds the kernel and all below it once more.
    """

    _shared_module: Any

    def finalize(self) -> None:
        """Leave all as it is: what calls it puts it in."""
        self._finalized = True

    @property
    def own_module(self) -> Any:
        """The LLVM module of this code, without what it calls."""
        return self._final_module

    def _get_module_for_linking(self) -> Any:
        """Return a module with all below: someone else's function calls a kernel of ours."""
        if self._shared_module is None:
            module = self._final_module.clone()
            for other in _link_all(self, module):
                module.link_in(other._get_module_for_linking(), preserve=True)
            _make_discardable(module, self._final_module)
            self._shared_module = module
        return self._shared_module


def _link_all(library: Any, module: Any) -> list[Any]:
    """Put the kernels below a library into its module; return the other libraries that it needs."""
    left, seen, others = [*library._linking_libraries], {library}, []
    while left:
        below = left.pop(0)
        if below in seen:
            continue
        seen.add(below)
        if isinstance(below, InlinedLibrary):
            module.link_in(below.own_module, preserve=True)
            _make_discardable(module, below.own_module)
            left.extend(below._linking_libraries)
        else:
            others.append(below)
    return others


def _make_discardable(module: Any, part: Any) -> None:
    """Let LLVM drop from a module the functions that a part of it brought, once they are put where they are called."""
    for function in part.functions:
        if not function.is_declaration and function.linkage == llvm.Linkage.external:
            module.get_function(function.name).linkage = "linkonce_odr"


class RoutineLibrary(UnemittedLibrary):
    """A routine: emitted once, under a symbol of its own; others link its forwarder.

    The symbol is made of the name and the key of its file; `symbol` is that of one which is not kept.
    """

    def __init__(self, codegen: Any, name: str, need: Need | None = None, symbol: str = "") -> None:
        super().__init__(codegen, name)
        self._need = need
        self._entry = ""
        self.link = Link(f"onearm.{need.name}.{need.key}" if need else symbol, "")

    @classmethod
    def loaded(cls, codegen: Any, name: str, link: Link) -> RoutineLibrary:
        """Return a routine whose code is there already."""
        library = cls(codegen, name)
        library.link = link
        library._finalized = True
        return library

    def add_ir_module(self, ir_module: Any) -> None:
        """Take in the code that numba made: of the routine itself, as it has no wrapper."""
        self._entry = next(function.name for function in ir_module.functions if function.blocks)
        super().add_ir_module(ir_module)

    def _optimize_final_module(self) -> None:
        super()._optimize_final_module()
        function = self._final_module.get_function(self._entry)
        lean, forwarder = _lean(function, self.link.symbol)
        self.link = Link(self.link.symbol, forwarder)
        self._final_module.link_in(llvm.parse_assembly(lean))
        function = self._final_module.get_function(self._entry)
        function.linkage = "internal"
        function.add_function_attribute("alwaysinline")
        passes = llvm.create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(self._final_module, self._codegen._pass_builder())

    def _finalize_final_module(self) -> None:
        super()._finalize_final_module()
        LINKED[self.link.symbol] = self._need

    def _get_module_for_linking(self) -> Any:
        self._ensure_finalized()
        return llvm.parse_assembly(self.link.forwarder)


class LoadedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code of a function for Python that was compiled before, by whatever process."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return the address of a function of this code."""
        return int(self._codegen._engine._ee.get_function_address(name))


def add_object(codegen: Any, code: bytes) -> None:
    """Give this process code that was compiled before. What it calls must be there."""
    engine = codegen._engine._ee
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()


def needs_of(library: Any) -> dict[str, Need] | None:
    """Return the routines that finished code calls, by their symbols; None where one is known to this process only."""
    module = library._final_module
    called = [one.name for one in module.functions if one.is_declaration and one.name in LINKED]
    needs = {symbol: need for symbol in called if (need := LINKED[symbol]) is not None}
    return needs if len(needs) == len(called) else None


def _lean(function: Any, symbol: str) -> tuple[str, str]:
    """Return LLVM text of a function under `symbol` with those arguments that `function` uses, and of its forwarder."""
    head, _, body = str(function).partition("{\n")
    given, kept, handed, told = [], [], [], []
    used = set(LOCAL_NAME.findall(body))
    for place, argument in enumerate(function.arguments):
        kind, name = str(argument.type), f"%a{place}"
        given.append(f"{kind} {name}")
        if f"%{argument.name}" in used or f'%"{argument.name}"' in used:
            known = KNOWN_OF_POINTER.findall(" ".join(word.decode() for word in argument.attributes))
            kept.append(given[-1])
            told.append(" ".join((kind, *known)))
            handed.append(given[-1])
        else:
            handed.append(f"{kind} poison")
    fails = set(RETURNED.findall(body)) != {DONE}
    status, result = ("i32", "i32 %status") if fails else ("void", "void")
    behaves = " ".join(KNOWN_OF_FUNCTION.findall(head.partition("\n")[0]))
    lean = f"""
        declare i32 @"{function.name}"({", ".join(given)})
        define {status} @"{symbol}"({", ".join(kept)}) {{
            %status = call i32 @"{function.name}"({", ".join(handed)})
            ret {result}
        }}"""
    forwarder = f"""
        declare {status} @"{symbol}"({", ".join(told)}) {behaves}
        define linkonce_odr i32 @"{function.name}"({", ".join(given)}) alwaysinline {{
            {"%status = " * fails}call {status} @"{symbol}"({", ".join(kept)})
            ret {result if fails else DONE}
        }}"""
    return lean, forwarder
