//! A project of the user's own with a board's firmware: the files of the board's
//! folder in `firmware/boards`, and what a repository has beside them.

mod manifest;
mod name;

pub use manifest::Kinglet;
pub use name::name_fault;

use kinglet_targets::Board;

/// What the check of a model's image asks it.
pub const PROMPT: &str = "Once upon a time";
/// Tokens of the answer that is checked.
pub const TOKENS: &str = "20";
/// Where a project has its image.
pub const IMAGE: &str = "model/model.kgl";
/// Where it has what `kinglet run` says of the image.
pub const EXPECTED: &str = "model/expected.json";

/// The files of a board that go into a project.
struct Folder {
    board: &'static str,
    manifest: &'static str,
    config: &'static str,
    memory: &'static str,
    program: &'static str,
}

/// Files of `firmware/boards`: in `boards` there are links to them, because a package has
/// only what is in its own folder.
macro_rules! of_boards {
    ($path:literal) => {
        include_str!(concat!("../../boards/", $path))
    };
    ($($board:literal,)*) => {
        &[$(Folder {
            board: $board,
            manifest: of_boards!($board, "/manifest.toml"),
            config: of_boards!($board, "/config.toml"),
            memory: of_boards!($board, "/memory.x"),
            program: of_boards!($board, "/main.rs"),
        }),*]
    };
    ($board:literal, $file:literal) => {
        include_str!(concat!("../../boards/", $board, $file))
    };
}

/// The boards that have firmware.
const FOLDERS: &[Folder] = of_boards![
    "microbit-v1",
    "nrf52840-dk",
    "stm32f405",
    "nucleo-h743zi",
    "pico",
    "pico2",
    "pico2-riscv",
    "esp32-c3",
];

/// What their folders share.
const WORKSPACE: &str = of_boards!("workspace.toml");
const BUILD: &str = of_boards!("build.rs");
/// The versions that they are tested with; cargo leaves out what a board does not need.
const LOCK: &str = of_boards!("boards.lock");
/// Of the board that is a workspace of its own.
const OWN_LOCK: (&str, &str) = ("esp32-c3", of_boards!("esp32-c3", "/board.lock"));

/// The image of a model, and what the workstation computes from it.
#[derive(Debug)]
pub struct Image {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// The line that `kinglet run --json` prints.
    pub expected: String,
}

/// A project with the firmware of a board.
#[derive(Debug)]
pub struct Project<'p> {
    /// Its name, of which [`name_fault`] finds no fault.
    pub name: &'p str,
    /// The board.
    pub board: &'p Board,
    /// Where Kinglet's crates are.
    pub kinglet: &'p Kinglet,
    /// The model, if there is one.
    pub image: Option<Image>,
}

impl Project<'_> {
    /// Its files by name. `None`: there is no firmware for the board.
    pub fn files(self) -> Option<Vec<(&'static str, Vec<u8>)>> {
        let folder = FOLDERS.iter().find(|has| has.board == self.board.name)?;
        let manifest = manifest::manifest(folder.manifest, self.name, self.kinglet);
        let (own, own_lock) = OWN_LOCK;
        let lock = if folder.board == own { own_lock } else { LOCK };
        let texts = [
            ("Cargo.toml", manifest),
            ("Cargo.lock", lock.to_owned()),
            (".cargo/config.toml", folder.config.to_owned()),
            ("build.rs", BUILD.to_owned()),
            ("memory.x", folder.memory.to_owned()),
            ("src/main.rs", folder.program.to_owned()),
            (".gitignore", "/target\n/all.*\n".to_owned()),
            ("README.md", self.readme(folder)),
            ("model/README.md", self.about_model()),
            (".github/workflows/firmware.yml", self.workflow()),
        ];
        let texts = texts.map(|(name, text)| (name, text.into_bytes()));
        let image = self.image.into_iter().flat_map(|image| {
            let expected = format!("{}\n", image.expected).into_bytes();
            [(IMAGE, image.bytes), (EXPECTED, expected)]
        });
        Some(texts.into_iter().chain(image).collect())
    }

    /// A text with the words of this project in the places for them.
    fn fill(&self, text: &str) -> String {
        let target = self.board.triple();
        let elf = format!("target/{target}/release/{}", self.name);
        let words = [
            ("{name}", self.name),
            ("{board}", &self.board.name),
            ("{title}", &self.board.title),
            ("{target}", target),
            ("{elf}", &elf),
            ("{image}", IMAGE),
            ("{expected}", EXPECTED),
            ("{prompt}", PROMPT),
            ("{tokens}", TOKENS),
            ("{install}", &self.kinglet.install()),
        ];
        words.iter().fold(text.to_owned(), |text, (place, word)| {
            text.replace(place, word)
        })
    }

    fn readme(&self, folder: &Folder) -> String {
        let about = folder.program.lines();
        let about = about.map_while(|line| line.strip_prefix("//! "));
        let about = about.collect::<Vec<_>>().join("\n");
        let flash = match self.board.uf2_family {
            _ if self.board.is_linked => include_str!("text/flash-linked.md"),
            Some(_) => include_str!("text/flash-drive.md"),
            None => include_str!("text/flash-probe.md"),
        };
        let place = match self.board.is_linked {
            true => "The model is part of the firmware, which is built again for another one",
            false => "The model lies in flash of its own, after the firmware, as\n`memory.x` says",
        };
        let check = match self.board.qemu {
            Some(_) => "where a token of the firmware in QEMU, or the hash of its logits, is not the workstation's",
            None => "where the firmware does not build; QEMU does not have this board",
        };
        let chip = folder.config.split_once("--chip ");
        let chip = chip.and_then(|(_, rest)| rest.split('"').next());
        self.fill(include_str!("text/README.md"))
            .replace("{about}", &about)
            .replace("{flash}", &self.fill(flash))
            .replace("{place}", place)
            .replace("{check}", check)
            .replace("{chip}", chip.unwrap_or(&self.board.chip))
    }

    fn about_model(&self) -> String {
        let state = match self.image {
            Some(_) => "`model.kgl` is the image, `expected.json` what the workstation computes from it, which the workflow compares. Another one,",
            None => "There is no image yet, and until there is the workflow fails. To make one, and to record what the workstation computes from it,",
        };
        self.fill(include_str!("text/model.md"))
            .replace("{state}", state)
    }

    fn workflow(&self) -> String {
        let workflow = self.fill(include_str!("text/firmware.yml"));
        let Some(machine) = &self.board.qemu else {
            return workflow;
        };
        let address = format!("{:#010x}", self.board.model().origin);
        let emulated = self.fill(include_str!("text/emulated.yml"));
        let emulated = emulated.replace("{machine}", machine);
        workflow + &emulated.replace("{address}", &address)
    }
}
