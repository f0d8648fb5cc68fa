"""Python callables that execute what they are given, load what executes itself, or delete; and folders of the system."""

from __future__ import annotations

_SHELL = "runs a command of the operating system"
_CODE = "runs text as Python"
_PICKLE = "runs whatever a pickle tells it to"
_NATIVE = "loads and runs compiled code"
_IMPORT = "imports a module, which runs it"
_YAML = "makes any object that YAML names"
_DELETES = "deletes files"

EXECUTES: dict[str, str] = {
    **dict.fromkeys(("os.system", "os.popen", "os.startfile", "pty.spawn", "posix.system", "nt.system"), _SHELL),
    **dict.fromkeys(("asyncio.create_subprocess_shell", "asyncio.create_subprocess_exec"), _SHELL),
    **dict.fromkeys(("commands.getoutput", "pexpect.run", "pexpect.spawn", "webbrowser.open"), _SHELL),
    **dict.fromkeys(("builtins.eval", "builtins.exec", "builtins.compile", "builtins.breakpoint"), _CODE),
    **dict.fromkeys(("timeit.timeit", "timeit.repeat", "cProfile.run", "cProfile.runctx", "profile.run"), _CODE),
    **dict.fromkeys(("pdb.run", "pdb.runeval", "trace.Trace", "pandas.eval", "numexpr.evaluate"), _CODE),
    **dict.fromkeys(("builtins.__import__", "importlib.import_module", "importlib.reload", "importlib.__import__"), _IMPORT),
    **dict.fromkeys(("pickle.load", "pickle.loads", "pickle.Unpickler", "_pickle.loads", "_pickle.load"), _PICKLE),
    "_pickle.Unpickler": _PICKLE,
    **dict.fromkeys(("marshal.load", "marshal.loads", "shelve.open", "shelve.DbfilenameShelf"), _PICKLE),
    **dict.fromkeys(("dill.load", "dill.loads", "dill.load_session", "dill.load_module"), _PICKLE),
    **dict.fromkeys(("cloudpickle.load", "cloudpickle.loads", "joblib.load", "pandas.read_pickle"), _PICKLE),
    **dict.fromkeys(("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"), _YAML),
    "yaml.full_load": _YAML,
    **dict.fromkeys(("torch.hub.load", "torch.package.PackageImporter"), "runs Python that comes with a model"),
    **dict.fromkeys(("torch.utils.cpp_extension.load", "torch.utils.cpp_extension.load_inline"), _NATIVE),
    **dict.fromkeys(("torch.ops.load_library", "torch.classes.load_library"), _NATIVE),
    **dict.fromkeys(("os.remove", "os.unlink", "os.rmdir", "os.removedirs", "shutil.rmtree", "shutil.move"), _DELETES),
}  # fmt: skip
"""Targets by their path, and what they do."""

REFUSED_BY_HYDRA = frozenset(
    {
        "operator.attrgetter", "operator.getitem", "operator.itemgetter", "operator.methodcaller", "operator.setitem",
        "builtins.map", "builtins.filter", "builtins.vars", "builtins.property", "builtins.staticmethod",
        "builtins.classmethod", "builtins.exit", "functools.cache", "functools.cached_property", "functools.lru_cache",
        "functools.partialmethod", "functools.reduce", "functools.singledispatch", "functools.wraps",
        "itertools.accumulate", "itertools.groupby", "itertools.starmap", "itertools.takewhile", "logging.Formatter",
        "contextlib.contextmanager", "dataclasses.make_dataclass", "types.MethodType", "types.FunctionType",
        "typing.get_type_hints", "unittest.mock.Mock", "unittest.mock.MagicMock", "os.chdir", "os.chmod", "os.kill",
        "os.putenv", "os.rename",
    }
)  # fmt: skip
"""Targets that Hydra itself (1.3.8) will not call from a config, of those that a person may come upon."""

EXECUTING_MODULES: dict[str, str] = {
    "subprocess": _SHELL,
    "popen2": _SHELL,
    "ctypes": _NATIVE,
    "runpy": _CODE,
    "code": _CODE,
    "codeop": _CODE,
}
"""Modules in which every callable is of that kind."""

EXECUTING_PREFIXES: dict[str, str] = {"os.exec": _SHELL, "os.spawn": _SHELL, "os.posix_spawn": _SHELL}

FINDERS = frozenset(
    {"hydra.utils.get_object", "hydra.utils.get_method", "hydra.utils.get_class", "hydra.utils.get_static_method"}
)
"""Targets that stand for the object whose path is their `path`."""

OPENERS = frozenset({"builtins.open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open"})
"""Targets that open a file in the `mode` that they are given."""

PICKLED = frozenset({"numpy.load", "numpy.lib.format.read_array", "numpy.lib.npyio.NpzFile"})
"""Targets that read pickles where `allow_pickle` says so."""

OUTPUTS = frozenset(
    {
        "recipe_dir", "data_dir", "exp_dir", "exp_tag", "stats_dir", "inference_dir", "save_path", "out_dir",
        "default_root_dir",
    }
)  # fmt: skip
"""Keys with a folder into which stages write."""

WRITTEN_BY_CALLS = frozenset({"output_dir", "save_dir", "dirpath", "default_root_dir", "exp_dir"})
"""Arguments of runners, callbacks and loggers with a folder into which they write."""

SYSTEM_FOLDERS = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")


def harm(path: str) -> str | None:
    """What the callable of this path does that no configured value should do; None where nothing is known of that."""
    known = EXECUTES.get(path)
    if known is not None:
        return known
    module, _, name = path.partition(".")
    if name and module in EXECUTING_MODULES:
        return EXECUTING_MODULES[module]
    return next((what for prefix, what in EXECUTING_PREFIXES.items() if path.startswith(prefix)), None)
