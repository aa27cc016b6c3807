use super::*;
use crate::pack::{self, Formats, Options};
use kinglet::shape::{Kind, Part, Shape, AFTER_LAYERS, BEFORE_LAYERS};
use std::collections::BTreeSet;

fn packed(version: Version, dimensions: &Dimensions) -> Shape {
    pack::shape(version, dimensions, &Options::of(Formats::INT8))
        .unwrap()
        .0
}

/// Sizes that are all different.
fn dimensions(version: Version) -> Dimensions {
    Dimensions {
        layers: 2,
        embd: 12,
        ffn: 20,
        vocab: 11,
        heads: if version == Version::V4 { 0 } else { 3 },
        ranks: match version {
            Version::V6 => [5, 7, 0, 0],
            Version::V7 => [5, 7, 2, 9],
            _ => [0; 4],
        },
        ..Dimensions::default()
    }
}

/// Core's list of parts and the tables are of the same model: each part is
/// made from a tensor with as many values, each tensor is in a part.
#[test]
fn parts_are_those_of_the_tensors() {
    for version in Version::ALL {
        let (sizes, table) = (dimensions(version), table(version));
        let packed = packed(version, &sizes);
        let mut stored = BTreeSet::new();
        let mut check = |layer: Option<usize>, part: &Part| {
            let (tensor, slice) = table.of_part(layer.is_some(), part.name);
            let mut shape = tensor.shape(&sizes);
            if let Some(index) = slice {
                assert!(index < shape.remove(0), "{version}: {}", part.name);
            }
            if tensor.is_turned() {
                shape.reverse();
            }
            match part.kind {
                Kind::Factors(_) | Kind::Mix(_) | Kind::Fixed(_) => {
                    let repeated = matches!(
                        tensor.stored,
                        Stored::DecayPerChannel | Stored::BonusPerChannel
                    );
                    let len = shape.iter().product::<usize>();
                    let len = if repeated { sizes.embd } else { len };
                    assert_eq!(len as u64, part.kind.elements(&packed), "{}", part.name);
                    assert!(!tensor.is_matrix(), "{version}: {}", part.name);
                }
                Kind::Matrix(r, c) | Kind::LowRank(r, c) | Kind::Table(r, c) => {
                    assert_eq!(shape, [r, c].map(|dim| packed.dim(dim)), "{}", part.name);
                    assert!(tensor.is_matrix(), "{version}: {}", part.name);
                }
            }
            stored.insert((layer, tensor.name));
        };
        let outside = BEFORE_LAYERS.iter().chain(AFTER_LAYERS);
        outside.for_each(|part| check(None, part));
        for layer in 0..2 {
            let parts = packed.layer_parts(layer as u32).iter().copied().flatten();
            parts.for_each(|part| check(Some(layer), part));
        }
        for placed in table.tensors(2) {
            let is_stored = stored.contains(&(placed.layer, placed.tensor.name));
            let folded = placed.tensor.stored == Stored::Folded;
            assert_ne!(is_stored, folded, "{version}: {}", placed.name());
        }
    }
}

#[test]
fn whole_names_are_split_where_they_were_joined() {
    for (name, split) in [
        ("blocks.3.ln1.weight", (Some(3), "ln1.weight")),
        ("blocks.03.ln1.weight", (None, "blocks.03.ln1.weight")),
        ("blocks.+3.ln1.weight", (None, "blocks.+3.ln1.weight")),
        ("blocks.x.ln1.weight", (None, "blocks.x.ln1.weight")),
        ("emb.weight", (None, "emb.weight")),
    ] {
        assert_eq!(split_name(name), split);
    }
}
