//! `cargo xtask bench --coefficients`: the costs from which `kinglet plan`
//! predicts a token's instructions.

use super::fit::{fit, worst_error, Row};
use super::kernels::{self, Cost};
use super::tokens;
use super::Results;
use anyhow::{bail, Context, Result};
use clap::ValueEnum;
use kinglet::shape::Bits;
use kinglet_host::engine::open_image;
use kinglet_host::pack::{image_parts, Format};
use kinglet_host::plan::cost::{terms, CoreCosts, Product, ProductCosts, TERMS};
use kinglet_host::plan::{layout, Planned};
use kinglet_host::tensors::Version;
use kinglet_targets::{Core, Machine, CORES};
use kinglet_workshop::firmware::RELEASE;
use kinglet_workshop::workspace::{build_kinglet, output, work_folder};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A random model: layers, channels, hidden channels, vocabulary, channels of
/// a head where the version has heads.
type Shape = (u32, u32, u32, u32, u32);

/// Shapes that tell the kinds of work apart.
const SHAPES: [Shape; 10] = [
    (1, 32, 128, 256, 32),
    (2, 64, 256, 256, 64),
    (4, 64, 128, 64, 16),
    (2, 128, 512, 512, 64),
    (1, 192, 768, 1024, 64),
    (6, 48, 96, 128, 16),
    (3, 96, 288, 768, 32),
    (2, 128, 256, 1024, 32),
    (4, 160, 640, 64, 32),
    (2, 144, 432, 256, 16),
];

/// The format with vectors of 16 bits that ports multiply in their own way.
const FINE: Format = Format {
    bits: Bits::Int8,
    fine: true,
};

/// Shapes whose state is measured with 8 bits too.
const SMALL_SHAPES: [usize; 3] = [1, 3, 5];

/// Measures all cores with different code, or those of `machines`; prints
/// `cores.toml`.
pub fn run(machines: &[&'static Machine]) -> Result<()> {
    let kinglet = build_kinglet()?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "# Printed by `cargo xtask bench --coefficients`: instructions in QEMU."
    )?;
    let own_code = CORES.iter().filter(|core| core.first_of_code() == *core);
    for machine in own_code.filter_map(Machine::of) {
        if machines.contains(&machine) {
            let costs = measure(&kinglet, machine);
            let costs = costs.with_context(|| format!("on {}", machine.name))?;
            write!(out, "{}", toml(machine.core, &costs)?)?;
        }
    }
    Ok(())
}

fn measure(kinglet: &Path, machine: &'static Machine) -> Result<CoreCosts> {
    let core = machine.core;
    eprintln!("==> {} on {}: products", core.title, machine.name);
    let kernels = kernels::measure(machine, RELEASE, &mut Results::default())?;
    let mut costs = CoreCosts {
        products: BTreeMap::new(),
        rest: BTreeMap::new(),
    };
    let formats = Bits::ALL.map(Format::from).into_iter();
    for format in formats.chain([FINE]) {
        let counted = kernels.iter().copied().filter(|cost| {
            let vectors = if format.fine { 16 } else { 8 };
            (cost.bits, cost.vectors) == (u32::from(format.bits.count()), vectors)
        });
        let products = products(core, format, &counted.collect::<Vec<_>>())?;
        costs.products.insert(format.name(), products);
    }
    for version in Version::ALL {
        let key = version.recurrence().to_string();
        // Of several versions with one recurrence, that of the same name.
        if version.to_string() == key {
            eprintln!("==> {} on {}: {version}", core.title, machine.name);
            let rest = rest(kinglet, machine, version, &costs)?;
            costs.rest.insert(key, rest);
        }
    }
    Ok(costs)
}

/// The costs of products of one format.
fn products(core: &Core, format: Format, counted: &[Cost]) -> Result<ProductCosts> {
    let rows: Vec<Row> = counted
        .iter()
        .map(|cost| {
            let (rows, cols) = (cost.shape.0 as usize, cost.shape.1 as usize);
            let product = Product { format, rows, cols };
            let (macs, padded) = ProductCosts::sizes(layout(core), product);
            Row {
                counts: vec![macs, padded, cols as f64, 1.0],
                cost: (cost.scaled + cost.prepare) as f64,
            }
        })
        .collect();
    let costs = fit(&rows);
    eprintln!(
        "    {}: {:.2} % at most",
        format.name(),
        100.0 * worst_error(&rows, &costs)
    );
    let &[mac, row, column, product] = &costs[..] else {
        bail!("the bench firmware counts no {} products", format.name());
    };
    Ok(ProductCosts {
        mac,
        row,
        column,
        product,
    })
}

/// The costs of everything else, from tokens of random models.
fn rest(
    kinglet: &Path,
    machine: &'static Machine,
    version: Version,
    costs: &CoreCosts,
) -> Result<BTreeMap<String, f64>> {
    let core = machine.core;
    let small = SMALL_SHAPES.iter().map(|&index| (index, "i8"));
    let small = small.filter(|_| version.recurrence().has_heads());
    let name = version.to_possible_value();
    let name = name.as_ref().map_or("", |value| value.get_name());
    let models = (0..SHAPES.len()).map(|index| (index, "i16")).chain(small);
    let mut rows = Vec::new();
    let mut whole = Vec::new();
    for (index, state) in models {
        let image = image(kinglet, core, name, index, state)?;
        let planned = planned(&image)?;
        let total = tokens::run(machine, &image)? as f64;
        let products = costs.of_products(&planned.shape, &planned.parts);
        let rest = total - products.context("a precision was not measured")?;
        if rest <= 0.0 {
            bail!(
                "the products of {} cost more than its tokens",
                image.display()
            );
        }
        rows.push(Row {
            counts: terms(&planned.shape).to_vec(),
            cost: rest,
        });
        whole.push(total);
    }
    let found = fit(&rows);
    let error = |(row, whole): (&Row, &f64)| (row.predicted(&found) - row.cost).abs() / whole;
    let worst = rows.iter().zip(&whole).map(error).fold(0.0, f64::max);
    eprintln!("    {:.2} % of a token at most", 100.0 * worst);
    let named = TERMS.iter().map(|&name| name.to_owned()).zip(found);
    Ok(named.filter(|&(_, cost)| cost > 0.0).collect())
}

/// A random model, packed for a core: every other one with int8 weights.
fn image(kinglet: &Path, core: &Core, version: &str, index: usize, state: &str) -> Result<PathBuf> {
    let folder = work_folder("bench")?;
    let (layers, channels, ffn, vocab, head) = SHAPES[index];
    let checkpoint = folder.join(format!("fit-{version}-{index}.safetensors"));
    let image = folder.join(format!("fit-{version}-{index}-{state}-{}.kgl", core.name));
    let mut synth = Command::new(kinglet);
    synth
        .args(["synth", "--version", version, "-o"])
        .arg(&checkpoint);
    let sizes = [
        ("--layers", layers),
        ("--channels", channels),
        ("--ffn", ffn),
        ("--vocab", vocab),
        ("--head-size", head),
    ];
    for (option, size) in sizes {
        synth.args([option, &size.to_string()]);
    }
    output(&mut synth)?;
    let weights = ["int4", "int8"][index % 2];
    let mut quantize = Command::new(kinglet);
    quantize
        .arg("quantize")
        .arg(&checkpoint)
        .arg("-o")
        .arg(&image);
    quantize.args(["--weights", weights, "--target", core.name]);
    quantize.args(["--state", state, "--plain"]);
    output(&mut quantize)?;
    Ok(image)
}

/// Shape and parts of an image.
pub fn planned(image: &Path) -> Result<Planned> {
    let file = open_image(image)?;
    let image = file.image();
    Ok(Planned::new(image.header(), image_parts(&image)))
}

/// The coefficients as a part of `cores.toml`.
fn toml(core: &Core, costs: &CoreCosts) -> Result<String> {
    let mut text = String::new();
    for (name, costs) in &costs.products {
        let ProductCosts {
            mac,
            row,
            column,
            product,
        } = costs;
        writeln!(text, "\n[{}.products.{name}]", core.name)?;
        writeln!(text, "mac = {mac:.6}\nrow = {row:.4}")?;
        writeln!(text, "column = {column:.4}\nproduct = {product:.2}")?;
    }
    for (version, costs) in &costs.rest {
        writeln!(text, "\n[{}.rest.\"{version}\"]", core.name)?;
        for name in TERMS {
            if let Some(cost) = costs.get(name) {
                writeln!(text, "{name} = {cost:.4}")?;
            }
        }
    }
    Ok(text)
}
