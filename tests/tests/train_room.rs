//! `kinglet train` where there is little room: on a board, on a disk.

use kinglet_tests::{
    arg, fails, failure, file, folder, json, kinglet, says, sentences, stdout, Args,
};
use std::fs;
use std::path::Path;
use std::process::Command;

fn train<'a>(text: &'a Path, output: &'a Path, more: impl Args + 'a) -> impl Args + 'a {
    ("train --text", text, "-o", output, more)
}

#[test]
fn a_model_for_a_board_fits_it_and_a_wider_one_does_not() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(500, 1));
    let checkpoint = folder.path().join("model.safetensors");
    let image = folder.path().join("model.kgl");
    let common = "--steps 1 --layers 2 --qat int4 --fresh";
    let options = "--weights int4 --head int4 --board microbit-v1";
    let pack = ("quantize", &checkpoint, "-o", &image, options);
    for version in ["--vocab 150", "--version v7 --head-size 32"] {
        let options = (common, version, "--board microbit-v1 --json");
        let summary = json(train(&text, &checkpoint, options));
        stdout(pack);
        let channels = summary["channels"].as_u64().expect("a number");
        let wider = (channels + 32).to_string();
        let options = (common, version, "--channels", &*wider);
        stdout(train(&text, &checkpoint, options));
        fails(pack, 1, "lacks");
    }
}

#[test]
fn the_command_that_packs_the_model_is_named_and_works() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(500, 2));
    let checkpoint = folder.path().join("model.safetensors");
    let options = "--steps 1 --layers 1 --board pico --budget 1M";
    failure(train(&text, &checkpoint, options), 2);
    let options = "--steps 1 --layers 1 --channels 32 --qat int4";
    let printed = stdout(train(&text, &checkpoint, options));
    let command = printed
        .lines()
        .find_map(|line| line.strip_prefix("to pack it             kinglet "));
    stdout(command.expect("a command"));
    assert!(checkpoint.with_extension("kgl").exists());
}

#[test]
fn a_board_that_is_too_small_or_unknown_is_an_error() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(200, 3));
    let output = folder.path().join("model.safetensors");
    let error = failure(train(&text, &output, "--board microbit-v1 --layers 40"), 2);
    says(&error, "40 layers of 32 channels");
    says(&error, "RAM");
    let error = failure(train(&text, &output, "--board toaster"), 2);
    says(&error, "toaster");
    says(&error, "pico2");
    failure(train(&text, &output, "--boards boards.toml"), 2);
}

/// Mounts a file system of `$1` KiB at `$2`, trains there until it is full and
/// ends, trains on until it waits, makes room, and copies the result to `$3`.
const FULL_DISK: &str = r#"
size=$1 disk=$2 copy=$3; shift 3
mount -t tmpfs -o size=${size}k none "$disk" || exit 77
"$@" --wait 0 && exit 10
[ $? = 1 ] || exit 11
[ "$(ls "$disk")" = model.safetensors.training ] || exit 12
"$@" --wait 60 2> "$copy.err" & training=$!
until grep "trying for 60 s" "$copy.err"; do sleep 0.1; kill -0 $training || exit 13; done
mount -o remount,size=64m "$disk" || exit 14
wait $training || exit 15
cat "$copy.err" >&2
cp "$disk/model.safetensors" "$copy"
"#;

/// Linux lets users mount file systems in a namespace; where it does not, a
/// sentence says so.
#[test]
fn a_disk_that_is_full_loses_nothing() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", sentences(500, 4));
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("a folder");
    let [copy, whole] = ["copy", "whole.safetensors"].map(|name| folder.path().join(name));
    let options = "--steps 30 --layers 1 --channels 32 --context 64 --save-every 0";
    let summary = json(train(&text, &whole, (options, "--json")));
    let parameters = summary["parameters"].as_u64().expect("a number");
    // Weights, the best ones and two averages: a saved training has four
    // floats for each parameter. There is room for one,
    // and not for the half of a checkpoint.
    let room = parameters * 4 * 4 * 9 / 8 / 1024;
    let output = disk.join("model.safetensors");
    let run = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh"])
        .args([&room.to_string(), arg(&disk), arg(&copy)])
        .arg(kinglet().get_program())
        .args(train(&text, &output, options).list())
        .output();
    let run = match run {
        Ok(run) if run.status.code() != Some(77) => run,
        _ => {
            eprintln!("skipped: users cannot mount file systems here (unshare)");
            return;
        }
    };
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{:?}: {errors}", run.status);
    let saves_that_failed = errors.matches("the training continues").count();
    assert_eq!(saves_that_failed, 2, "{errors}");
    let last =
        "neither its result nor its last steps are saved; the same command goes on at step 1,";
    says(&errors, last);
    says(&errors, "goes on at step 1, 3 % done");
    let (copy, whole) = (fs::read(copy), fs::read(whole));
    assert!(copy.expect("copied") == whole.expect("trained"), "{errors}");
}
