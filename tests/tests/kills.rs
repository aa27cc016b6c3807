//! Programs that are killed, and programs that write one file at once: no file
//! is half there, no input is lost, and the next run works.
#![cfg(unix)]

use kinglet_host::random::Random;
use kinglet_tests::{demo_checkpoint, file, folder, kinglet, names, sentences, stdout, Args};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const TRAINING: &str = "--steps 12 --layers 1 --channels 32 --context 32 --batch 2 --save-every 0";

const PATIENCE: Duration = Duration::from_millis(250);

/// A command, all of its arguments, and the only bytes that its output may have.
struct Job {
    args: Vec<String>,
    output: &'static str,
    bytes: Vec<u8>,
    /// How long it takes, or as long as a test waits for it on a busy machine.
    time: Duration,
}

impl Job {
    /// Runs it once, and takes the output away.
    fn new(folder: &Path, output: &'static str, args: impl Args) -> Self {
        let args = args.list();
        let start = Instant::now();
        stdout(&args);
        let time = start.elapsed().min(PATIENCE);
        let bytes = fs::read(folder.join(output)).expect("an output");
        for there in names(folder)
            .iter()
            .filter(|name| name.starts_with(stem(output)))
        {
            fs::remove_file(folder.join(there)).expect("it was there");
        }
        Self {
            args,
            output,
            bytes,
            time,
        }
    }

    fn start(&self) -> Child {
        let mut command = kinglet();
        let command = command.args(&self.args).stdout(Stdio::null());
        command.stderr(Stdio::piped()).spawn().expect("it starts")
    }

    /// Whether the output is there; it is whole, then.
    fn is_done(&self, folder: &Path) -> bool {
        let found = fs::read(folder.join(self.output));
        assert!(
            found.as_ref().is_ok_and(|found| *found == self.bytes) || found.is_err(),
            "{:?}",
            self.args
        );
        found.is_ok()
    }
}

fn stem(output: &str) -> &str {
    output.split('.').next().expect("a name")
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("it ends")
}

fn partials(folder: &Path) -> usize {
    names(folder)
        .iter()
        .filter(|name| name.ends_with(".partial"))
        .count()
}

#[test]
fn kills_leave_nothing_half() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let model = at("in.safetensors");
    fs::copy(demo_checkpoint(), &model).expect("a copy");
    let image = at("in.kgl");
    stdout(("quantize", &model, "--weights int4 -o", &image));
    let text = file(folder.path(), "in.txt", sentences(100, 1));
    let inputs = [&model, &image, &text].map(|path| (path, fs::read(path).expect("an input")));
    let jobs = [
        Job::new(
            folder.path(),
            "q.kgl",
            ("quantize", &model, "--weights int8 -o", &at("q.kgl")),
        ),
        Job::new(
            folder.path(),
            "e.rs",
            ("export", &image, "--rust", &at("e.rs")),
        ),
        Job::new(
            folder.path(),
            "p.kgl",
            ("prime", &image, "--prompt a -o", &at("p.kgl")),
        ),
        Job::new(
            folder.path(),
            "s.st",
            ("synth --layers 4 --channels 128 -o", &at("s.st")),
        ),
        Job::new(
            folder.path(),
            "t.st",
            ("train --text", &text, TRAINING, "-o", &at("t.st")),
        ),
    ];
    let mut random = Random::new(1);
    let (mut killed, mut done) = (0, 0);
    for (round, job) in (0..8).flat_map(|round| jobs.iter().map(move |job| (round, job))) {
        let before = partials(folder.path());
        let mut child = job.start();
        let micros = job.time.as_micros() as usize * 5 / 4;
        sleep(Duration::from_micros(random.below(micros) as u64));
        if round % 2 == 0 {
            child.kill().expect("it was started");
        } else {
            // Fails where it is done.
            let pid = child.id().to_string();
            drop(Command::new("kill").args(["-s", "TERM", &pid]).output());
        }
        let ended = end(child);
        killed += usize::from(!ended.status.success());
        assert_ne!(ended.status.code(), Some(1), "{ended:?}");
        if round % 2 == 1 {
            assert!(partials(folder.path()) <= before, "{:?}", job.args);
        }
        if job.is_done(folder.path()) {
            done += 1;
            fs::remove_file(at(job.output)).expect("it was there");
        }
    }
    println!("{killed} of 40 killed, {done} outputs");
    assert!(killed >= 12, "{killed} killed");
    for job in &jobs {
        stdout(&job.args);
        assert!(job.is_done(folder.path()));
    }
    for (path, bytes) in inputs {
        assert!(fs::read(path).expect("an input") == bytes);
    }
    // What killed processes left is gone, too.
    let there = [
        "e.rs",
        "in.kgl",
        "in.safetensors",
        "in.txt",
        "p.kgl",
        "q.kgl",
        "s.st",
        "t.md",
        "t.st",
        "t.svg",
    ];
    assert_eq!(names(folder.path()), there);
}

#[test]
fn races_end_with_one_whole_file() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let image = kinglet_tests::root().join("core/tests/data/tiny.kgl");
    let text = file(folder.path(), "in.txt", sentences(100, 1));
    let prime = |text: &str| ("prime", &image, ["--prompt", text], "-o", at("p.kgl")).list();
    let primes = ["a", "b"].map(|text| Job::new(folder.path(), "p.kgl", prime(text)));
    let train = ("train --text", &text, TRAINING, "-o", &at("t.st"));
    let train = Job::new(folder.path(), "t.st", train);
    let mut random = Random::new(2);
    let mut refused = 0;
    for race in 0..20 {
        let jobs = match race % 2 {
            0 => [&primes[0], &primes[1]],
            _ => [&train, &train],
        };
        let first = jobs[0].start();
        sleep(Duration::from_micros(
            random.below(jobs[0].time.as_micros() as usize) as u64,
        ));
        let ends = [first, jobs[1].start()].map(end);
        let found = fs::read(at(jobs[0].output)).expect("an output");
        assert!(jobs.iter().any(|job| job.bytes == found), "race {race}");
        let failed: Vec<_> = ends.iter().filter(|end| !end.status.success()).collect();
        assert!(failed.len() <= race % 2, "race {race}: {ends:?}");
        for end in failed {
            let said = String::from_utf8_lossy(&end.stderr);
            assert!(said.contains("another training is at work"), "{said}");
            refused += 1;
        }
        fs::remove_file(at(jobs[0].output)).expect("it was there");
    }
    println!("{refused} of 10 second trainings refused");
    assert!(refused > 0, "none was refused");
    assert_eq!(names(folder.path()), ["in.txt", "t.md", "t.svg"]);
}
