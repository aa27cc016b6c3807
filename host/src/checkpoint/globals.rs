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
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch", name) => storage_type(name).map(Global::Storage),
        _ => None,
    }
}

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
