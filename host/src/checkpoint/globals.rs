//! The Python names that a state dict may use; every other one is refused.

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
    Storage(StorageType),
}

/// The type of the values in a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorageType {
    /// `torch.FloatStorage`.
    F32,
    /// `torch.HalfStorage`.
    F16,
    /// `torch.BFloat16Storage`.
    BF16,
    /// Another type, by the name that safetensors gives it. A checkpoint may
    /// hold such tensors outside of its state dict.
    Other(&'static str),
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

fn storage_type(name: &str) -> Option<StorageType> {
    Some(match name {
        "FloatStorage" => StorageType::F32,
        "HalfStorage" => StorageType::F16,
        "BFloat16Storage" => StorageType::BF16,
        "DoubleStorage" => StorageType::Other("F64"),
        "LongStorage" => StorageType::Other("I64"),
        "IntStorage" => StorageType::Other("I32"),
        "ShortStorage" => StorageType::Other("I16"),
        "CharStorage" => StorageType::Other("I8"),
        "ByteStorage" => StorageType::Other("U8"),
        "BoolStorage" => StorageType::Other("BOOL"),
        "ComplexFloatStorage" => StorageType::Other("C64"),
        "ComplexDoubleStorage" => StorageType::Other("C128"),
        _ => return None,
    })
}
