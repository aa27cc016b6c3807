//! Files of other kinds, told by their first bytes, and what to do about each.

/// First bytes, and what such a file is.
const KINDS: &[(&[u8], &str)] = &[
    (b"fmgg", GGML),
    (b"tjgg", GGML),
    (b"lmgg", GGML),
    (b"algg", "is an adapter (LoRA) in a ggml format: merge it into the checkpoint with the program that trained it"),
    (b"version https://git-lfs.github.com/", POINTER),
    (b"KINGLET\0", "is an image of Kinglet's, which was packed already: give the checkpoint that it was made of"),
    (b"\x89PNG", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (b"GIF8", PICTURE),
    (b"24ka", LLAMA2_C),
    (b"\x1f\x8b", PACKED),
    (b"BZh", PACKED),
    (b"\xfd7zXZ", PACKED),
    (b"7z\xbc\xaf", PACKED),
    (b"Rar!", PACKED),
    (b"\x28\xb5\x2f\xfd", PACKED),
    (b"\x93NUMPY", "is a NumPy array: save the tensors of the model by name, as safetensors"),
    (b"\x89HDF", "is an HDF5 file: save the tensors of the model by name, as safetensors"),
];

const POINTER: &str =
    "is a Git LFS pointer in place of the file: fetch the file with `git lfs pull`";
const GGML: &str = "is a file of rwkv.cpp or another ggml program: take the .pth or .safetensors file that it was made from";
const PICTURE: &str = "is a picture: download the file of the model itself";
const PACKED: &str = "is compressed: unpack it first";
const LLAMA2_C: &str = "is a model of llama2.c, a Transformer: Kinglet reads RWKV-4 to 7";
const PAGE: &str =
    "is a web page in place of the file: download it by its address with /resolve/ and not /blob/";

/// What a file of these first bytes and this length is, if it is of a known
/// kind that is no checkpoint.
pub(super) fn kind(head: &[u8], len: u64) -> Option<&'static str> {
    if let Some((_, what)) = KINDS.iter().find(|(start, _)| head.starts_with(start)) {
        return Some(what);
    }
    let text = head.trim_ascii_start();
    let is = |start: &str| {
        let front = text.get(..start.len());
        front.is_some_and(|front| front.eq_ignore_ascii_case(start.as_bytes()))
    };
    if ["<!doctype html", "<html", "<head", "<?xml"]
        .into_iter()
        .any(is)
    {
        return Some(PAGE);
    }
    is_llama2_c(head, len).then_some(LLAMA2_C)
}

/// Whether these are the first bytes of a kind that is no text.
pub(super) fn is_binary(head: &[u8]) -> bool {
    let mut kinds = KINDS.iter();
    kinds.any(|(start, what)| head.starts_with(start) && *what != POINTER)
}

/// Its older files have no mark, but seven sizes: width, hidden width, layers,
/// heads, key and value heads, vocabulary (negative where the head is not the
/// embedding), length of a text.
fn is_llama2_c(head: &[u8], len: u64) -> bool {
    let (words, _) = head.as_chunks::<4>();
    let Some(words) = words.first_chunk::<7>() else {
        return false;
    };
    let [dim, hidden, layers, heads, kv_heads, vocab, seq] =
        words.map(|word| u64::from(i32::from_le_bytes(word).unsigned_abs()));
    let all = [dim, hidden, layers, heads, kv_heads, vocab, seq];
    let likely = layers < 1000 && dim < 1 << 16 && hidden < 1 << 20 && vocab < 1 << 24;
    all.iter().all(|&size| size > 0)
        && likely
        && dim.is_multiple_of(heads)
        && heads.is_multiple_of(kv_heads)
        && len > 4 * vocab * dim
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn files_of_other_kinds_are_told_apart() {
        let llama = |sizes: [i32; 7]| sizes.map(i32::to_le_bytes).concat();
        let sizes = llama([288, 768, 6, 6, 6, 32000, 256]);
        for (head, len, part) in [
            (&b"fmgg\x65\0\0\0"[..], 72, Some("rwkv.cpp")),
            (b"tjgg", 4, Some("ggml")),
            (b"algg", 4, Some("adapter")),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                130,
                Some("git lfs pull"),
            ),
            (b"KINGLET\0", 8, Some("an image of Kinglet")),
            (b"<!doctype html>\n<html>", 99, Some("/resolve/")),
            (b"\n <HTML lang=en>", 99, Some("/resolve/")),
            (b"\x89PNG\r\n", 99, Some("a picture")),
            (b"\x1f\x8b\x08", 99, Some("compressed")),
            (&sizes, 40_000_000, Some("llama2.c")),
            (
                &llama([288, 768, 6, 6, 6, -32000, 256]),
                40_000_000,
                Some("llama2.c"),
            ),
            (&sizes, 1000, None),
            (&llama([288, 768, 6, 5, 6, 32000, 256]), 40_000_000, None),
            (&[0; 64], 40_000_000, None),
            (b"Once upon a time", 16, None),
            (b"", 0, None),
        ] {
            let found = kind(head, len);
            let fits = match (found, part) {
                (Some(found), Some(part)) => found.contains(part),
                (found, part) => found.is_none() && part.is_none(),
            };
            assert!(fits, "{head:?}: {found:?}");
        }
    }
}
