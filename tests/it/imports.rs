//! Which file imports which: no circles, and arrows between rooms in one direction only.
//!
//! Files are read as text. What a file re-exports (`pub use`) counts for the file that it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms, upper ones first: a room imports from rooms below it only. `src/docs/design.md` has the same line.
const ORDER: &str = "`emulator` → `run` → `journal` → `model` → `event`, `edge` → `vod`, `smq` → `client` → `auth` → `net` → `error` → `ids`";

type Module = Vec<String>;

/// A file of one crate: the module that it is, and what it says of others.
struct Source {
    path: String,
    modules: BTreeSet<String>,
    exports: BTreeMap<String, Module>,
    imports: Vec<Module>,
}

/// The files of a crate, by module.
type Crate = BTreeMap<Module, Source>;

fn read_crate(root: &str) -> Crate {
    let folder = Path::new(root).parent().unwrap();
    let mut sources = Crate::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if name == "tests" || name.ends_with("_tests") || path.ends_with("src/bin") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.with_extension("").strip_prefix(folder).unwrap().to_owned();
                let mut module: Module =
                    relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                module.retain(|part| part != "lib" && part != "main");
                let path = path.to_str().unwrap().to_owned();
                sources.insert(module, Source::read(path));
            }
        }
    }
    sources
}

impl Source {
    fn read(path: String) -> Self {
        let text = code_of(&fs::read_to_string(&path).unwrap());
        let mut source = Self { path, modules: BTreeSet::new(), exports: BTreeMap::new(), imports: vec![] };
        let mut rest = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let (visibility, item) = split_visibility(line.trim());
            if let Some(name) = item.strip_prefix("mod ") {
                source.modules.insert(name.trim_end_matches([';', '{', ' ']).to_owned());
            } else if let Some(start) = item.strip_prefix("use ") {
                let mut tree = start.to_owned();
                while !tree.contains(';') {
                    tree.push_str(lines.next().unwrap());
                }
                let paths = paths_of(tree.trim_end_matches(';'));
                if visibility.is_empty() {
                    source.imports.extend(paths);
                } else {
                    source.exports.extend(paths.into_iter().filter_map(export_of));
                }
            } else {
                rest.push_str(line);
                rest.push('\n');
            }
        }
        source.imports.extend(inline_paths(&rest));
        source
    }
}

/// Takes `pub` or `pub(…)` off the front of an item.
fn split_visibility(line: &str) -> (&str, &str) {
    let Some(rest) = line.strip_prefix("pub") else { return ("", line) };
    let end = if rest.starts_with('(') { rest.find(')').map_or(0, |at| at + 1) } else { 0 };
    match rest[end..].strip_prefix(' ') {
        Some(item) => (&line[..3 + end], item),
        None => ("", line),
    }
}

/// The name under which a path is exported, and the path.
fn export_of(mut path: Module) -> Option<(String, Module)> {
    let last = path.pop()?;
    let (original, name) = last.split_once(" as ").unwrap_or((&last, &last));
    path.push(original.to_owned());
    Some((name.to_owned(), path))
}

/// Paths that stand in the middle of the code.
fn inline_paths(code: &str) -> Vec<Module> {
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let starts = ["crate::", "super::"].into_iter().flat_map(|start| code.match_indices(start));
    let whole = starts.filter(|(at, _)| !code[..*at].ends_with(is_of_path));
    let paths = whole.map(|(at, _)| code[at..].split(|c| !is_of_path(c)).next().unwrap_or_default());
    paths.map(|path| path.trim_end_matches(':').split("::").map(str::to_owned).collect()).collect()
}

/// A text without comments and without the tests at its end.
fn code_of(text: &str) -> String {
    let mut code = String::from("\n");
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_test = line.trim() == "#[cfg(test)]";
        if is_test && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{')) {
            break;
        }
        if is_test {
            lines.next();
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// The paths of a tree such as `a::{b, c::{self, d}}`.
fn paths_of(tree: &str) -> Vec<Module> {
    let tree = tree.trim();
    let Some((before, inner)) = tree.split_once('{') else {
        let path: Module = tree.split("::").map(|part| part.trim().to_owned()).collect();
        return if tree.is_empty() { vec![] } else { vec![path] };
    };
    let before: Module =
        before.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let inner = inner.trim_end().strip_suffix('}').unwrap();
    let (mut depth, mut parts, mut start) = (0, vec![], 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let paths = parts.into_iter().flat_map(paths_of);
    paths.map(|path| before.iter().cloned().chain(path).collect()).collect()
}

/// The file in which stands what `path` names, as seen from `module`; `None` for other crates.
fn resolve(sources: &Crate, module: &Module, path: &[String], depth: usize) -> Option<Module> {
    let (first, mut rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Module::new(),
        "self" => module.clone(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        name if sources[module].modules.contains(name) => {
            rest = path;
            module.clone()
        }
        _ => return None,
    };
    while let Some((name, after)) = rest.split_first() {
        let source = &sources[&at];
        let child: Module = at.iter().chain([name]).cloned().collect();
        if name == "super" {
            at.pop();
        } else if source.modules.contains(name) && sources.contains_key(&child) {
            at = child;
        } else if let Some(export) = source.exports.get(name).filter(|_| depth < 8) {
            let path: Vec<String> = export.iter().chain(after).cloned().collect();
            return resolve(sources, &at, &path, depth + 1).or(Some(at));
        } else {
            break;
        }
        rest = after;
    }
    Some(at)
}

/// The files that each file imports.
fn arrows_of(sources: &Crate) -> BTreeMap<&str, BTreeSet<&str>> {
    let arrows = sources.iter().map(|(module, source)| {
        let targets = source.imports.iter().filter_map(|path| resolve(sources, module, path, 0));
        let files = targets.map(|target| sources[&target].path.as_str()).filter(|file| *file != source.path);
        (source.path.as_str(), files.collect())
    });
    arrows.collect()
}

fn reached<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut all, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        next.extend(arrows[file].iter().filter(|target| all.insert(**target)));
    }
    all
}

fn circles(arrows: &BTreeMap<&str, BTreeSet<&str>>) -> BTreeSet<Vec<String>> {
    let reach: BTreeMap<_, _> = arrows.keys().map(|file| (*file, reached(arrows, file))).collect();
    let circle = |file: &&str| -> Option<Vec<String>> {
        let others = reach[file].iter().filter(|other| reach[*other].contains(file));
        let all: Vec<String> = others.map(|other| (*other).to_owned()).collect();
        (!all.is_empty()).then_some(all)
    };
    reach.keys().filter_map(circle).collect()
}

fn room_of(file: &str) -> &str {
    file.split(['/', '.']).nth(1).unwrap()
}

/// The place of a file's room in the order; `None` for those that gather everything.
fn rank(file: &str) -> Option<usize> {
    let room = room_of(file);
    ORDER.split('→').position(|step| step.contains(&format!("`{room}`")))
}

#[test]
fn no_file_imports_itself_around_a_circle() {
    for root in ["src/lib.rs", "src/bin/vod-refresh/main.rs"] {
        let sources = read_crate(root);
        let circles = circles(&arrows_of(&sources));
        assert!(circles.is_empty(), "{} circles of imports: {circles:#?}", circles.len());
    }
}

/// The walk of one media id, a file a line.
#[test]
fn the_walk_of_a_media_id_goes_down() {
    let page = fs::read_to_string("src/docs/design.md").unwrap();
    let walk = page.split("\n# The walk of one media id\n").nth(1).unwrap().split("\n# ").next().unwrap();
    let files: Vec<&str> =
        walk.split('`').filter(|text| text.starts_with("src/") && text.ends_with(".rs")).collect();
    assert!((5..=8).contains(&files.len()), "{files:?}");
    let sources = read_crate("src/lib.rs");
    let arrows = arrows_of(&sources);
    for (place, file) in files.iter().enumerate() {
        assert!(arrows.contains_key(file), "{file} is not there");
        for above in &files[..place] {
            assert!(!reached(&arrows, file).contains(above), "{file} imports {above}");
        }
    }
}

#[test]
fn rooms_import_from_rooms_below_them() {
    let sources = read_crate("src/lib.rs");
    let mut wrong = Vec::new();
    for (file, targets) in arrows_of(&sources) {
        for target in targets {
            let (Some(from), Some(to)) = (rank(file), rank(target)) else { continue };
            if from > to || from == to && room_of(file) != room_of(target) {
                wrong.push(format!("{file} -> {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(fs::read_to_string("src/docs/design.md").unwrap().contains(ORDER), "design.md has another order");
}
