//! The Python names that a state dict may use; every other one is refused.

use super::dtype::Dtype;

/// What an allowed name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `torch._utils._rebuild_tensor_v2`: a view of a storage.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`, with and without state: a tensor
    /// that was trained.
    RebuildParameter,
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._tensor._rebuild_from_type_v2`: calls another for a subclass.
    RebuildFromType,
    /// `torch.Size`: a tuple.
    Size,
    /// A value or function that no tensor depends on: its calls give such values.
    Opaque,
    /// `torch.FloatStorage` and its kin.
    Storage(Dtype),
}

/// What `module.name` stands for, if it is allowed.
pub(super) fn lookup(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Some(Global::RebuildParameter)
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Some(Global::RebuildFromType),
        ("collections", "OrderedDict" | "defaultdict" | "Counter") => Some(Global::OrderedDict),
        ("torch", "Size") => Some(Global::Size),
        ("torch", name) => match storage_type(name) {
            Some(storage) => Some(Global::Storage(storage)),
            None => TORCH.contains(&name).then_some(Global::Opaque),
        },
        _ => OPAQUE.contains(&(module, name)).then_some(Global::Opaque),
    }
}

/// Types and devices.
const TORCH: [&str; 12] = [
    "device", "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8",
    "uint8", "bool", "strided",
];

/// What training programs put beside the weights: settings, versions, losses. The
/// names are known, and nothing of them is run.
const OPAQUE: [(&str, &str); 31] = [
    ("torch.nn.parameter", "Parameter"),
    ("argparse", "Namespace"),
    ("types", "SimpleNamespace"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "WindowsPath"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("builtins", "dict"),
    ("builtins", "list"),
    ("builtins", "set"),
    ("builtins", "tuple"),
    ("builtins", "int"),
    ("builtins", "float"),
    ("builtins", "str"),
    ("builtins", "bool"),
    ("__builtin__", "dict"),
    ("__builtin__", "list"),
    ("__builtin__", "set"),
    ("__builtin__", "int"),
    ("__builtin__", "float"),
    ("pytorch_lightning.utilities.parsing", "AttributeDict"),
    ("lightning_fabric.utilities.data", "AttributeDict"),
];

fn storage_type(name: &str) -> Option<Dtype> {
    Dtype::from_name(match name {
        "DoubleStorage" => "F64",
        "FloatStorage" => "F32",
        "HalfStorage" => "F16",
        "BFloat16Storage" => "BF16",
        "LongStorage" => "I64",
        "IntStorage" => "I32",
        "ShortStorage" => "I16",
        "CharStorage" => "I8",
        "ByteStorage" => "U8",
        "BoolStorage" => "BOOL",
        "ComplexFloatStorage" => "C64",
        "ComplexDoubleStorage" => "C128",
        _ => return None,
    })
}
