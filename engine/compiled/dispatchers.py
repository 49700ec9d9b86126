"""How numba compiles our functions: kernels into their callers, routines apart, loops with a wrapper for Python."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

from numba import njit, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.imputils import user_function
from numba.core.registry import CPUDispatcher
from numba.core.sigutils import normalize_signature
from numba.core.typed_passes import (
    DumpParforDiagnostics,
    InlineOverloads,
    NativeLowering,
    NopythonRewrites,
    NoPythonSupportedFeatureValidation,
)
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.core.untyped_passes import (
    DeadBranchPrune,
    FindLiterallyCalls,
    InlineClosureLikes,
    InlineInlinables,
    LiteralPropagationSubPipelinePass,
    LiteralUnroll,
    MakeFunctionToJitFunction,
    RewriteDynamicRaises,
    WithLifting,
)

from .entries import EntryCache, Kernels, without_jit
from .libraries import InlinedLibrary, Library, RoutineLibrary
from .lowering import KernelLower, OurLower
from .stamp import is_outside

OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
# Passes for what no function of ours has: closures, comprehensions, `with`, array expressions, `literally`, parallel
# loops; and a check for what numba cannot compile, which would fail later. They take 0.4 of the 6 s that a cold
# simulation of `linucb` does.
FOR_OTHERS = frozenset(
    {
        WithLifting,
        InlineClosureLikes,
        RewriteDynamicRaises,
        MakeFunctionToJitFunction,
        InlineInlinables,
        FindLiterallyCalls,
        LiteralUnroll,
        LiteralPropagationSubPipelinePass,
        InlineOverloads,
        NopythonRewrites,
        DumpParforDiagnostics,
        NoPythonSupportedFeatureValidation,
    }
)


def jitted(function: Callable[..., Any], kernels: Kernels, missing: Callable[..., Any]) -> Any:
    """Return numba's dispatcher of a function that Python calls; `missing` returns code that it does not have yet.

    It finds the code for the types of its arguments in 3 us, where `numba.typeof` takes 60 to 200 to name these.
    """
    dispatcher = njit(**OPTIONS, pipeline_class=_Compiler)(function)
    if not without_jit():
        dispatcher._cache = EntryCache(function, kernels)
        dispatcher._compile_for_args = missing
    return dispatcher


class _Kernel(CPUDispatcher):  # type: ignore[misc]
    """Code for those compiled functions that call it; for Python the Python function."""

    def __init__(self, function: Callable[..., Any], pipeline: Any, **options: Any) -> None:
        options |= OPTIONS | {"nopython": True, "boundscheck": None, "no_cpython_wrapper": True}
        super().__init__(function, targetoptions=options, pipeline_class=pipeline)
        self.python = function

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Run it as Python."""
        return self.python(*args, **named)

    def compile(self, signature: Any) -> Any:
        """Return the code for the types of arguments: of this process, from disk, or compiled now.

        Numba's own method has a clock at each level of nesting, which all calls of LLVM tell when they begin and end.
        """
        with global_compiler_lock, self._compiling_counter:
            args, returned = normalize_signature(signature)
            if (known := self.overloads.get(args)) is not None:
                return known.entry_point
            found = self._cache.load_overload(args, self.targetctx)
            if found is not None:
                self.targetctx.insert_user_function(found.entry_point, found.fndesc, [found.library])
                self.add_overload(found)
                return found.entry_point
            found = self._compiler.compile(args, returned)
            self.add_overload(found)
            self._cache.save_overload(args, found)
            return found.entry_point

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how it is called with arguments of some types: with constants as with any others of their types.

        Numba would compile it anew for each constant, which LLVM puts in its place where it is put in anyway.
        """
        return super().get_call_template([*map(types.unliteral, args)], {k: types.unliteral(v) for k, v in kws.items()})


class InlinedKernel(_Kernel):
    """What `@kernel` returns. Python may run another function for it, which gives the same bits."""

    def __init__(self, function: Callable[..., Any], python: Callable[..., Any] | None = None) -> None:
        super().__init__(function, _InlinedCompiler, forceinline=True)
        self.python = python or function


class Routine(_Kernel):
    """What `@routine` returns. Numba hands `forceinline` down to what a kernel calls, unless told otherwise."""

    def __init__(self, function: Callable[..., Any], kernels: Kernels) -> None:
        cache = EntryCache(function, kernels, "routine")
        super().__init__(function, functools.partial(_RoutineCompiler, cache), forceinline=False)
        self._cache = cache


def resolve(stub: Callable[..., Any], kernel_for: Callable[[Any], Any]) -> None:
    """Let compiled code call, wherever it names `stub`, the kernel for the type of the first argument.

    Numba's `overload` would compile a function between the two, each time.
    """

    class Resolved(AbstractTemplate):  # type: ignore[misc]
        key = stub

        def generic(self, args: Any, kws: Any) -> Any:
            found = kernel_for(args[0])
            return None if found is None else found._type.get_call_type(self.context, args, kws)

        def get_impl_key(self, signature: Any) -> Any:
            return kernel_for(signature.args[0]).get_overload(signature.args)

    infer_global(stub, types.Function(Resolved))


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):  # type: ignore[misc]
    """Numba's pass that lowers: as `OurLower` does, into the library that the compiler makes."""

    _name = "lowering_into_a_library"

    @property
    def lowering_class(self) -> Any:
        """Return what writes LLVM code."""
        return OurLower

    def run_pass(self, state: Any) -> bool:
        state.library = state.pipeline.library()
        return super().run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(_Lowering):
    """The same, of a kernel."""

    _name = "lowering_of_a_kernel"

    @property
    def lowering_class(self) -> Any:
        """Return what writes LLVM code."""
        return KernelLower

    def run_pass(self, state: Any) -> bool:
        """Lower, and let callers of these types find it: numba files it under those that are handed over."""
        super().run_pass(state)
        lowered = state["cr"]
        called = user_function(lowered.fndesc, [state.library])
        state.targetctx._defns[lowered.cfunc].append(called, tuple(state.args))
        return True


class _Passes(PassManager):  # type: ignore[misc]
    """A pipeline whose passes just run.

    Numba writes down, for whoever listens, what each was given, and names the pass in an error: of functions of ours
    nobody asks for either. Its variables that print what a pass made (NUMBA_DEBUG_PRINT_AFTER) do nothing here.
    """

    def _runPass(self, index: int, one: Any, state: Any) -> None:  # noqa: N802  numba's name
        one.analysis = self._analysis
        one.run_pass(state)


class _Compiler(CompilerBase):  # type: ignore[misc]
    """Numba's compiler of what Python calls."""

    library_class: ClassVar[Any] = Library
    lowering: ClassVar[Any] = _Lowering

    def define_pipelines(self) -> list[Any]:
        """Return numba's pipeline, with our lowering, and of our functions without what they do not need."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        if not is_outside(self.state.func_id.func):
            passes = _without_what_is_for_others(passes)
        passes.passes = [(self.lowering if one is NativeLowering else one, text) for one, text in passes.passes]
        passes.finalize()
        return [passes]

    def library(self) -> Any:
        """Return what numba lowers the function into."""
        library = self.library_class(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        library.enable_object_caching()
        return library


def _without_what_is_for_others(passes: PassManager) -> _Passes:
    """Return the passes that functions of ours need. Numba prunes dead branches three times; once will do."""
    kept = _Passes(passes.pipeline_name)
    for one, text in passes.passes:
        is_again = one is DeadBranchPrune and any(one is earlier for earlier, _ in kept.passes)
        if one not in FOR_OTHERS and not is_again:
            kept.passes.append((one, text))
    return kept


class _InlinedCompiler(_Compiler):
    """Numba's compiler of what is put into its callers."""

    library_class = InlinedLibrary
    lowering = _KernelLowering


class _RoutineCompiler(_Compiler):
    """Numba's compiler of what is called."""

    def __init__(self, cache: EntryCache, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._cache = cache

    def library(self) -> Any:
        """Return what numba lowers the function into."""
        need = self._cache.need(self.state.args, self.state.targetctx)
        function = self.state.func_id
        library = RoutineLibrary(self.state.targetctx.codegen(), function.func_qualname, need, function.unique_name)
        library.enable_object_caching()
        return library


# For what finds kernels: a call would push every field of a state.
INLINED = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _InlinedCompiler,
}
