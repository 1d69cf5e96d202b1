//! The pages are true as far as a program can tell: links, options, variables, commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::support::program::Home;

/// Lines of the README, which is read as one page.
const README_LINES: usize = 150;

/// The pages for people who read the repository, by their paths. Parts of items' documentation, in `src/docs/items`, are not.
fn pages() -> BTreeMap<PathBuf, String> {
    let folder = fs::read_dir("src/docs").unwrap().map(|entry| entry.unwrap().path());
    let docs = folder.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(PathBuf::from);
    docs.chain(top).map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// The text without blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The blocks of code in one of these languages.
fn blocks<'a>(text: &'a str, languages: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.filter(|(language, _)| languages.contains(language)).map(|(_, code)| code)
}

/// The targets of links and pictures.
fn links(text: &str) -> Vec<String> {
    let parts = prose(text);
    let targets = parts.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    targets.collect()
}

/// The names by which GitHub's pages link to headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(slug).collect()
}

/// What of the links of `pages` leads nowhere.
fn dead_links(pages: &BTreeMap<PathBuf, String>, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut dead = Vec::new();
    for (page, text) in pages {
        for link in links(text) {
            // Links to items are rustdoc's, which checks them.
            if link.contains("://") || link.starts_with("crate::") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { joined(page, file) };
            let is_there = exists(&target);
            let is_named =
                anchor.is_empty() || pages.get(&target).is_some_and(|text| anchors(text).contains(anchor));
            if !is_there || !is_named {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    dead
}

/// `link` as seen from `page`, without `..`.
fn joined(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().unwrap().to_owned();
    for part in link.split('/') {
        if part == ".." {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path
}

/// Words of `text` that begin with `start`, as long as they hold small letters, digits and hyphens.
fn words(text: &str, start: &str, may: impl Fn(char) -> bool) -> BTreeSet<String> {
    let before_ok =
        |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'));
    let found = text.match_indices(start).filter(|(at, _)| before_ok(*at)).map(|(at, _)| {
        let rest = &text[at + start.len()..];
        let end = rest.find(|c| !may(c)).unwrap_or(rest.len());
        format!("{start}{}", rest[..end].trim_end_matches(['-', '_']))
    });
    found.filter(|word| word.len() > start.len()).collect()
}

fn source_text(folder: &str) -> io::Result<String> {
    let mut all = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all += &source_text(path.to_str().unwrap())?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            all += &fs::read_to_string(path)?;
        }
    }
    Ok(all)
}

#[test]
fn the_readme_is_one_page() {
    let lines = fs::read_to_string("README.md").unwrap().lines().count();
    assert!(
        lines <= README_LINES,
        "{lines} lines, {README_LINES} at most: move something to a page in src/docs"
    );
}

#[test]
fn no_link_is_dead() {
    let dead = dead_links(&pages(), |path| path.exists());
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn a_dead_link_is_noticed() {
    let text = "# A (new) page\n[a](b.md) [b](../c.md#there) [c](#a-new-page) [d](https://x.test/) ![e](f.png)\n```\n[x](y)\n```\n";
    let pages = BTreeMap::from([
        (PathBuf::from("d/a.md"), text.to_owned()),
        (PathBuf::from("c.md"), "## Not there\n".to_owned()),
    ]);
    let dead = dead_links(&pages, |path| {
        [Path::new("d/b.md"), Path::new("d/a.md"), Path::new("c.md")].contains(&path)
    });
    assert_eq!(dead, ["d/a.md: ../c.md#there", "d/a.md: f.png"]);
}

#[test]
fn every_page_is_linked_from_another() {
    let pages = pages();
    let linked: BTreeSet<PathBuf> = pages
        .iter()
        .flat_map(|(page, text)| {
            let targets = links(text).into_iter().map(|link| joined(page, link.split('#').next().unwrap()));
            targets.filter(move |target| target != page)
        })
        .collect();
    let lonely: Vec<_> =
        pages.keys().filter(|page| page.starts_with("src/docs") && !linked.contains(*page)).collect();
    assert!(lonely.is_empty(), "no page links to {lonely:?}");
}

/// Each option in code, but those of other programs. `src/docs/options.md` has them all, made from the definitions.
#[test]
fn every_option_that_a_page_names_exists() {
    let pages = pages();
    let is_of_option = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let known = words(&pages[Path::new("src/docs/options.md")], "--", is_of_option);
    assert!(known.len() > 60, "{known:?}");
    let help = ["--help", "--version"];
    for (page, text) in &pages {
        // Lines with commands of other programs name options of theirs.
        let others = ["cargo ", "docker ", "podman ", "gh ", "sha256sum ", "git ", "`--profile dist`"];
        let own = text.lines().filter(|line| !others.iter().any(|other| line.contains(other)));
        let own = own.collect::<Vec<_>>().join("\n");
        let unknown: Vec<_> = words(&own, "--", is_of_option).into_iter().collect();
        let unknown: Vec<_> =
            unknown.iter().filter(|word| !known.contains(*word) && !help.contains(&word.as_str())).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", page.display());
    }
}

#[test]
fn every_variable_that_a_page_names_is_read_somewhere() {
    let sources =
        source_text("src").unwrap() + &source_text("tests").unwrap() + &source_text("benches").unwrap();
    let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    for (page, text) in pages() {
        let named =
            ["VOD_REFRESH_", "ALIBABA_CLOUD_"].iter().flat_map(|start| words(&text, start, is_of_name));
        let unknown: Vec<String> = named.filter(|name| !sources.contains(&format!("{name}\""))).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", page.display());
    }
}

/// The codes of the help, in the page.
#[test]
fn the_page_has_every_exit_code() {
    let help = Home::new().run(&["--help"]).stdout;
    let (_, codes) = help.split_once("Exit codes: ").unwrap();
    let page = fs::read_to_string("src/docs/report.md").unwrap();
    let pairs = codes.split([',', '.']).filter_map(|pair| pair.trim().split_once(char::is_whitespace));
    let pairs: Vec<_> =
        pairs.filter(|(number, name)| number.parse::<u8>().is_ok() && !name.contains(' ')).collect();
    assert!(pairs.len() >= 9, "{codes}");
    for (number, name) in pairs {
        assert!(page.contains(&format!("| {number} | {name} |")), "{number} {name}");
    }
}

/// A shell that reads command lines and does nothing of them: of `vod-refresh` it asks whether its words are known.
#[cfg(unix)]
fn is_understood(line: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let put = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    // The first word that is wrong ends the parsing before `--help` is come to.
    put(
        "vod-refresh",
        &format!("#!/bin/sh\nexec {} \"$@\" --help >/dev/null\n", env!("CARGO_BIN_EXE_vod-refresh")),
    );
    put("jq", "#!/bin/sh\ncat >/dev/null\n");
    let mut shell = home.wrapped("bash");
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let output = shell.args(["-euc", line]).env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{line}\n{said}")) }
}

#[test]
#[cfg(unix)]
fn every_command_line_on_a_page_is_understood() {
    let mut count = 0;
    for (page, text) in pages() {
        for code in blocks(&text, &["console", "sh"]) {
            let lines = code.lines().map(|line| line.trim_start_matches("$ ").trim());
            let lines = lines.flat_map(|line| line.split(" || "));
            let lines = lines.filter(|line| line.starts_with("vod-refresh ") || line.starts_with("jq "));
            for line in lines.map(|line| line.replace("\\|", "|")) {
                is_understood(&line).unwrap_or_else(|why| panic!("{}: {why}", page.display()));
                count += 1;
            }
        }
        for script in blocks(&text, &["sh"]) {
            let mut shell = std::process::Command::new("bash");
            let output = shell.args(["-n", "-c", script]).output().unwrap();
            assert!(output.status.success(), "{}: {output:?}", page.display());
        }
    }
    assert!(count > 25, "{count}");
    assert!(is_understood("vod-refresh refresh m1 --no-such-option").is_err(), "it understands everything");
}

/// The commands for trying it by hand, one after the other, against an emulator that is as quick as it can be.
#[test]
#[cfg(unix)]
fn the_first_commands_of_the_readme_do_what_they_say() {
    use std::time::Duration;
    use vod_refresh::emulator::Scenario;

    let readme = fs::read_to_string("README.md").unwrap();
    let script =
        blocks(&readme, &["console"]).find(|code| code.contains("export VOD_REFRESH_ENDPOINT")).unwrap();
    let cloud = crate::support::program::Cloud::new(
        Scenario::new()
            .with(|s| s.job_delay = Duration::ZERO)
            .with(|s| s.task_duration = Duration::from_millis(200)),
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script: String = script.lines().map(|line| format!("{}\n", line.trim_start_matches("$ "))).collect();
    let script =
        script.replace("http://127.0.0.1:8089", &cloud.endpoint).replace("127.0.0.1:8090", &free.to_string());
    let script = ["refresh", "preload"].iter().fold(script, |script, command| {
        let line = format!("vod-refresh {command} ");
        script.replace(&line, &format!("{line}--poll-interval 100ms "))
    });
    let home = Home::new();
    let folder = Path::new(env!("CARGO_BIN_EXE_vod-refresh")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = home.wrapped("bash").args(["-euc", &script]).env("PATH", path).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{told}");
    assert!(said.contains("\"confirmed_by\":\"callback\""), "no event came: {said}");
    assert_eq!(
        said.lines().rev().take_while(|line| !line.starts_with("RUN ")).count(),
        4,
        "four runs: {said}"
    );
    assert!(home.path().join("run.html").exists(), "no page");
}
