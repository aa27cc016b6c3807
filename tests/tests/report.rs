//! The page of `kinglet eval --report`.

use kinglet_host::text::shown;
use kinglet_tests::{
    arg, demo_checkpoint, demo_image, fails, file, folder, json, quantize, says, synth,
};
use std::path::{Path, PathBuf};

/// A page about an image of a random checkpoint, its text, and the scores that were printed.
fn page(folder: &Path, image: &str, text: &str, options: &str) -> (String, serde_json::Value) {
    let checkpoint = folder.join("model.safetensors");
    let (text, image) = (file(folder, "text.txt", text), folder.join(image));
    let page = folder.join("page.html");
    let eval = ("eval", &image, "--text", &text, "--json --reference");
    let scores = json((eval, &checkpoint, "--report", &page, options));
    let page = std::fs::read_to_string(page).expect("a page in UTF-8");
    (page, scores)
}

/// The values of an attribute, in the page's order.
fn values<'p>(page: &'p str, attribute: &str) -> Vec<&'p str> {
    let start = format!("{attribute}=\"");
    let rest = page.split(&start).skip(1);
    rest.filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect()
}

#[test]
fn a_report_is_one_page_about_what_eval_prints() {
    let folder = folder();
    let checkpoint = folder.path().join("model.safetensors");
    synth(&checkpoint, "--layers 2 --channels 32 --vocab 127");
    let image = folder.path().join("model.kgl");
    quantize(&checkpoint, &image, "--weights int6");
    let text = "Once upon a time there was a kinglet. ".repeat(10);
    let (page, scores) = page(folder.path(), "model.kgl", &text, "--reset 128");
    let elsewhere = [
        "http:", "https:", "src=", "href=", "url(", "@import", "<script",
    ];
    for other in elsewhere {
        assert!(!page.contains(other), "{other}");
    }
    let given = page.split("<tr class=given>").nth(1).expect("a row");
    let bytes = std::fs::metadata(&image).expect("an image").len();
    assert_eq!(values(given, "data-bytes")[0], bytes.to_string());
    let kl: f64 = values(given, "data-kl")[0].parse().expect("a number");
    assert_eq!(Some(kl), scores["kl"].as_f64());
    // Rounding alone is worse than what the others have at as many bytes.
    says(&page, "is no larger, and nearer");
    for options in [
        "--weights int4",
        "--weights int6",
        "--weights int8",
        "--budget ",
    ] {
        says(&page, &format!("<code>{options}"));
    }
    let points = values(&page, "data-kl").len();
    assert!((6..=10).contains(&points), "{points}");
    let marks = [
        "<circle class=given",
        "<circle class=dot",
        "<rect class=dot",
    ];
    let marks = marks.map(|mark| page.matches(mark).count());
    assert_eq!(marks, [1, 4, points - 5]);
    // As `run` writes.
    let beginning = file(folder.path(), "beginning.txt", &text[..48]);
    let exact = article(&page, "<article>", "");
    assert!(!exact.is_empty());
    for (model, written) in [
        (&checkpoint, exact.clone()),
        (&image, article(&page, "<article class=given>", &exact)),
    ] {
        let run = ("run", model, "-n 96 --temperature 0 --json --prompt-file");
        let run = json((run, &beginning));
        let text = shown(run["text"].as_str().expect("a text"));
        let text = text.replace('&', "&amp;").replace('"', "&quot;");
        let text = text.replace('<', "&lt;").replace('>', "&gt;");
        assert_eq!(written, text.replace('\'', "&#39;"));
    }
}

/// The text in the first article that begins so; `same` where it says that.
fn article(page: &str, start: &str, same: &str) -> String {
    let article = page.split(start).nth(1).expect("an article");
    let article = article.split("</article>").next().expect("its end");
    match article.split_once("<p class=text>") {
        None => same.to_owned(),
        Some((_, text)) => ["<u>", "</u>", "</p>"]
            .iter()
            .fold(text.to_owned(), |text, tag| text.replace(tag, "")),
    }
}

/// Names of files, tokens and texts are text.
#[test]
fn a_report_has_no_markup_of_others() {
    let folder = folder();
    let script = "<script src=//evil></script>";
    let checkpoint = folder.path().join("model.safetensors");
    synth(&checkpoint, "--layers 1 --channels 32 --vocab 300");
    let mut words: String = (32..127u8)
        .map(|byte| format!("{byte} b'\\x{byte:02x}' 1\n"))
        .collect();
    words += &format!("256 '{script}' {}\n", script.len());
    let words = file(folder.path(), "words.txt", words);
    let image = folder.path().join("<img src=x onerror=alert(1)>.kgl");
    let name = ["--name", script, "--tokenizer", arg(&words)];
    quantize(&checkpoint, &image, ("--weights int8", name));
    let text = format!("a{script}b&lt;").repeat(20);
    let image = image.file_name().expect("a name").to_string_lossy();
    let (page, _) = page(folder.path(), &image, &text, "");
    says(&page, "&lt;script src=//evil&gt;");
    says(&page, "b&amp;lt;");
    says(&page, "&lt;img src=x onerror=alert(1)&gt;.kgl");
    for markup in ["<script", "<img", "</script"] {
        assert!(!page.contains(markup), "{markup}");
    }
}

#[test]
fn a_report_is_about_an_image_and_its_checkpoint() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", "Once upon a time");
    let (checkpoint, image) = (demo_checkpoint(), demo_image(folder.path(), "int4"));
    let page = folder.path().join("page.html");
    let report = |model: &PathBuf, reference: &PathBuf, report: &PathBuf, says| {
        let eval = ("eval", model, "--text", &text, "--report", report);
        fails((eval, "--reference", reference), 2, says);
    };
    report(&checkpoint, &checkpoint, &page, "is about an image");
    report(&image, &image, &page, "give a checkpoint");
    report(&image, &checkpoint, &text, "over an input");
    let eval = ("eval", &image, "--text", &text, "--report", &page);
    fails(eval, 2, "--reference");
    let other = folder.path().join("other.safetensors");
    synth(&other, "--version v4 --layers 1 --channels 32 --vocab 512");
    report(&image, &other, &page, "was not made of");
    assert!(!page.exists());
}
