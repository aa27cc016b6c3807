//! Projects that `kinglet new` makes: outside of the tree every board's builds, and the
//! steps of its workflow run, until one weight of the model is another.

use crate::firmware::boards;
use kinglet::image::{image_crc32, CRC_OFFSET};
use kinglet_tests::{arg, file, folder, kinglet, quantize, root, says, stdout, synth};
use kinglet_workshop::firmware;
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the steps of a workflow run, one after the other.
fn steps(project: &Path) -> Vec<String> {
    let workflow = fs::read_to_string(project.join(".github/workflows/firmware.yml"));
    let workflow = workflow.expect("a workflow");
    let steps = workflow.split("      - run: |\n").skip(1);
    let lines = |step: &str| {
        let lines = step
            .lines()
            .map_while(|line| line.strip_prefix("          "));
        lines.collect::<Vec<_>>().join("\n")
    };
    steps.map(lines).collect()
}

/// Programs of a machine of CI: nothing is installed, as all is here.
fn programs(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a folder");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let cargo = format!("[ \"$1\" = install ] || exec \"{cargo}\" \"$@\"");
    for (name, line) in [("sudo", ""), ("rustup", ""), ("cargo", &cargo)] {
        let path = file(&bin, name, format!("#!/bin/sh\n{line}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    symlink(kinglet().get_program(), bin.join("kinglet")).expect("a link");
    bin
}

/// Runs a step as a machine of CI does.
fn run(step: &str, project: &Path, bin: &Path) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("bash")
        .args(["-e", "-c", step])
        .current_dir(project)
        .env("PATH", format!("{}:{path}", arg(bin)))
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("a shell")
}

/// The image of a random model whose tokens are bytes.
fn image(folder: &Path, board: &str) -> PathBuf {
    let checkpoint = folder.join("small.safetensors");
    if !checkpoint.exists() {
        synth(&checkpoint, "--layers 2 --channels 48 --vocab 200");
    }
    let image = folder.join(format!("{board}.kgl"));
    quantize(&checkpoint, &image, ("--weights int4", ["--board", board]));
    image
}

/// Another weight, under the checksum that belongs to it.
fn change_a_weight(image: &Path) {
    let mut bytes = fs::read(image).expect("an image");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let checksum = image_crc32(&bytes);
    bytes[CRC_OFFSET..][..4].copy_from_slice(&checksum.to_le_bytes());
    fs::write(image, bytes).expect("a file");
}

#[test]
fn the_workflow_of_a_project_fails_where_one_weight_is_another() {
    let folder = folder();
    let bin = programs(folder.path());
    for board in boards() {
        let project = folder.path().join(format!("wren-{}", board.name));
        let image = image(folder.path(), &board.name);
        let options = ["--board", &board.name, "--image", arg(&image)];
        stdout(("new", &project, options, ["--kinglet", arg(root())]));
        // What the boards are made of is compiled once.
        symlink(firmware::target(), project.join("target")).expect("a link");
        let steps = steps(&project);
        assert_eq!(steps.len(), if board.qemu.is_some() { 6 } else { 4 });
        for step in &steps {
            let done = run(step, &project, &bin);
            let errors = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{}: {step}\n{errors}", board.name);
        }
        let elf = firmware::target().join(board.triple()).join("release");
        let elf = fs::read(elf.join(format!("wren-{}", board.name))).expect("a firmware");
        let model = fs::read(&image).expect("an image");
        let has_model = elf.windows(model.len()).any(|bytes| bytes == model);
        assert_eq!(has_model, board.is_linked, "{}", board.name);
        change_a_weight(&project.join("model/model.kgl"));
        let done = run(&steps[3], &project, &bin);
        assert_eq!(done.status.code(), Some(1), "{}", board.name);
        says(&String::from_utf8_lossy(&done.stdout), "image_checksum");
        // Its firmware still computes what the workstation does, and no other.
        if let Some(emulated) = steps.get(5) {
            assert!(run(emulated, &project, &bin).status.success());
            let recorded = emulated.replacen("model/model.kgl", arg(&image), 1);
            let done = run(&recorded, &project, &bin);
            assert_eq!(done.status.code(), Some(1));
            says(&String::from_utf8_lossy(&done.stderr), "another image");
        }
    }
}
