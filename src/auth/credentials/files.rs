//! The two files that hold profiles: `~/.aliyun/config.json` of the `aliyun` command, and the credentials file of the
//! vendor's SDKs, `~/.alibabacloud/credentials.ini` (Python, Java) or `credentials` (Go, Node). Never written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use strsim::osa_distance;

use super::context::{Context, Finding, config_error};
use super::profile::{INI_KEYS, Profile, resolve};
use crate::error::Result;

const CLI_FILE_VARIABLE: &str = "ALIBABA_CLOUD_CONFIG_FILE";
const CLI_DISABLED_VARIABLE: &str = "ALIBABA_CLOUD_CLI_PROFILE_DISABLED";
const INI_FILE_VARIABLE: &str = "ALIBABA_CLOUD_CREDENTIALS_FILE";
const DEFAULT_NAME: &str = "default";

/// How sections call the modes that they have.
const INI_TYPES: &[(&str, &str)] = &[
    ("AK", "access_key"),
    // Known to none of the vendor's packages, and what everybody tries.
    ("StsToken", "sts"),
    ("RamRoleArn", "ram_role_arn"),
    ("EcsRamRole", "ecs_ram_role"),
    ("OIDC", "oidc_role_arn"),
    ("RsaKeyPair", "rsa_key_pair"),
];

/// The file that `variable` names, or else those below the home directory.
fn paths(context: &Context, variable: &str, below_home: &[&str]) -> Vec<PathBuf> {
    match context.environment.variable(variable) {
        Some(path) => vec![path.into()],
        None => below_home.iter().filter_map(|below| context.environment.in_home(below)).collect(),
    }
}

/// The text of a file; `None` if it is not there. One that `variable` names must be there.
fn text_of(context: &Context, variable: &str, path: &Path) -> Result<Option<String>> {
    let text = context.environment.secret_file(path)?;
    if text.is_none() && context.environment.variable(variable).is_some() {
        return Err(config_error(format!("{} does not exist, which {variable} names", path.display())));
    }
    Ok(text)
}

/// Where `config.json` is; or why it does not count.
fn cli_file(context: &Context) -> Result<PathBuf, String> {
    if context.environment.is_on(CLI_DISABLED_VARIABLE) {
        return Err(format!("{CLI_DISABLED_VARIABLE} is on"));
    }
    let mut paths = paths(context, CLI_FILE_VARIABLE, &[".aliyun/config.json"]);
    paths.pop().ok_or_else(|| "there is no home directory".to_owned())
}

/// Asks the profile of `config.json` called `named`, or the file's current one.
pub(super) async fn cli_config(context: &Context, named: Option<&str>) -> Result<Finding> {
    let absent = |why: String| Ok(Finding::Absent(why));
    let path = match cli_file(context) {
        Ok(path) => path,
        Err(why) => return absent(why),
    };
    let shown = path.display();
    let Some(text) = text_of(context, CLI_FILE_VARIABLE, &path)? else {
        return absent(format!("{shown} does not exist"));
    };
    let config = CliConfig::read(&path, &text)?;
    let current = config.current();
    let name = named.or(current).unwrap_or(DEFAULT_NAME);
    if config.names().filter(|other| *other == name).count() > 1 {
        context.environment.warn_once(format!("{shown} has profile {name:?} twice: the first one counts"));
    }
    match config.profile(name)? {
        // The `aliyun` command writes a profile without keys when it is first called.
        Some(profile) if named.is_none() && profile.is_blank() => {
            absent(format!("profile {name:?} of {shown} holds no key"))
        }
        Some(profile) => {
            let found = resolve(context, profile, |name| config.profile(name)).await;
            found.map(Finding::Found)
        }
        None if named.is_some() => {
            absent(format!("{shown} has no profile {name:?}{}", suggestion(name, config.names())))
        }
        None if current.is_some() => {
            Err(config_error(format!("{shown}: current names profile {name:?}, which does not exist")))
        }
        None => absent(format!("{shown} has no profile {name:?}")),
    }
}

/// The region that the profile called `named` of `config.json` has, or else the file's current one.
pub(super) fn region(context: &Context, named: Option<&str>) -> Option<String> {
    let path = cli_file(context).ok()?;
    let text = context.environment.file(&path).ok()??.text;
    let config = CliConfig::read(&path, &text).ok()?;
    let name = named.or(config.current()).unwrap_or(DEFAULT_NAME);
    config.profile(name).ok()??.text("region_id").ok()?
}

/// `config.json` as it was read.
struct CliConfig<'a> {
    path: &'a Path,
    document: Map<String, Value>,
}

impl<'a> CliConfig<'a> {
    fn read(path: &'a Path, text: &str) -> Result<Self> {
        let broken = |why: String| config_error(format!("{}: {why}", path.display()));
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Err(broken("it is empty: `aliyun configure` writes it anew".into()));
        }
        // Syntax errors name line and column and quote nothing.
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Value::Object(document)) => Ok(Self { path, document }),
            Ok(_) => Err(broken("it is JSON but no object".into())),
            Err(error) => Err(broken(format!("it is not JSON: {error}"))),
        }
    }

    fn current(&self) -> Option<&str> {
        self.document.get("current").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// The profile of this name; names are compared exactly, and of two alike the first counts, as for the vendor's tools.
    fn profile(&self, name: &str) -> Result<Option<Profile>> {
        let profiles = match self.document.get("profiles") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(profiles)) => profiles,
            Some(_) => return Err(config_error(format!("{}: profiles is no list", self.path.display()))),
        };
        let mut objects = profiles.iter().filter_map(Value::as_object);
        let found = objects.find(|fields| fields.get("name").and_then(Value::as_str) == Some(name));
        Ok(found.map(|fields| Profile {
            name: name.to_owned(),
            label: format!("profile {name:?} of {}", self.path.display()),
            is_section: false,
            fields: fields.clone(),
        }))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let profiles = self.document.get("profiles").and_then(Value::as_array);
        profiles.into_iter().flatten().filter_map(|profile| profile.get("name")?.as_str())
    }
}

/// Asks the section of the credentials file called `named`, or `default`.
pub(super) async fn ini(context: &Context, named: Option<&str>) -> Result<Finding> {
    let name = named.unwrap_or(DEFAULT_NAME);
    let below_home = [".alibabacloud/credentials.ini", ".alibabacloud/credentials"];
    let mut absent = Vec::new();
    for path in &paths(context, INI_FILE_VARIABLE, &below_home) {
        let shown = path.display();
        let Some(text) = text_of(context, INI_FILE_VARIABLE, path)? else {
            absent.push(format!("{shown} does not exist"));
            continue;
        };
        let mut sections = parse_ini(&text).map_err(|why| config_error(format!("{shown}: {why}")))?;
        let Some(keys) = sections.remove(name) else {
            let others = sections.keys().map(String::as_str);
            let meant = named.map(|name| suggestion(name, others)).unwrap_or_default();
            absent.push(format!("{shown} has no section {name:?}{meant}"));
            continue;
        };
        let is_off = keys.get("enable").is_some_and(|on| on.eq_ignore_ascii_case("false"));
        let label = format!("section {name:?} of {shown}");
        if is_off && named.is_some() {
            return Err(config_error(format!("{label}: it is switched off (enable = false)")));
        }
        if is_off {
            absent.push(format!("{label} is switched off"));
            continue;
        }
        let section = section(name, label, keys)?;
        return resolve(context, section, |_| Ok(None)).await.map(Finding::Found);
    }
    let why = if absent.is_empty() { "there is no home directory".into() } else { absent.join(", ") };
    Ok(Finding::Absent(why))
}

type Keys = BTreeMap<String, String>;

/// A section as a profile.
fn section(name: &str, label: String, mut keys: Keys) -> Result<Profile> {
    if let Some(token) = keys.remove("security_token").filter(|token| !token.is_empty()) {
        keys.insert("sts_token".to_owned(), token);
    }
    let known = INI_KEYS.iter().filter_map(|(field, key)| Some((*field, keys.remove(*key)?)));
    let fields = known.map(|(field, text)| (field.to_owned(), text.into())).collect();
    let mut section = Profile { name: name.to_owned(), label, is_section: true, fields };
    if let Some(kind) = section.text("mode")? {
        let mode = INI_TYPES.iter().find(|(_, known)| *known == kind);
        // The value is not shown: whoever mixes up two keys may have put a secret here.
        let (mode, _) = mode.ok_or_else(|| section.field_error("mode", "is none of the known ones"))?;
        section.fields.insert("mode".to_owned(), (*mode).into());
    }
    Ok(section)
}

/// Sections by name. A `#` or `;` begins a comment at the start of a line or after a blank: inside a secret it stays.
fn parse_ini(text: &str) -> Result<BTreeMap<String, Keys>, String> {
    let mut sections = BTreeMap::<String, Keys>::new();
    let mut current = None;
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = without_comment(line).trim();
        let broken = |why: &str| format!("line {}: {why}", number + 1);
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(|| broken("a section's name is not closed"))?;
            current = Some(sections.entry(name.trim().to_owned()).or_default());
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| broken("neither a section nor key = value"))?;
        let section = current.as_mut().ok_or_else(|| broken("a key before the first section"))?;
        section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(sections)
}

fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if matches!(c, '#' | ';') && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

/// `; did you mean "prod"?` for the name that is most like `name`, or nothing if none is like it.
fn suggestion<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    // Short names are all like each other.
    let allowed = (name.chars().count() / 3).min(2);
    let lower = name.to_lowercase();
    let near = names
        .filter(|other| *other != name)
        .map(|other| (osa_distance(&lower, &other.to_lowercase()), other))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips);
    near.map(|(_, other)| format!("; did you mean {other:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_line_ends_are_taken_as_they_come() {
        let text = "\u{feff}# note\r\n[default]\r\nType = access_key ; note\r\n\r\n; note\r\n\
                    access_key_secret=a#b;c=d # note\r\nempty =\r\n[ other ]\r\nx = [1]\r\n";
        let sections = parse_ini(text).unwrap();
        assert_eq!(sections["default"]["type"], "access_key");
        assert_eq!(sections["default"]["access_key_secret"], "a#b;c=d");
        assert_eq!(sections["default"]["empty"], "");
        assert_eq!(sections["other"]["x"], "[1]");
    }

    #[test]
    fn a_broken_line_is_named_by_its_number_and_not_repeated() {
        for (text, line) in [("[a\n", "line 1"), ("[a]\nMARK\n", "line 2"), ("\nMARK = 1", "line 2")] {
            let error = parse_ini(text).unwrap_err();
            assert!(error.starts_with(line) && !error.contains("MARK"), "{error}");
        }
    }

    #[test]
    fn a_slip_of_the_hand_is_recognised_and_another_name_is_not() {
        let names = ["default", "prod", "production", "ci"];
        for (written, found) in [
            ("prdo", "prod"),
            ("Prod", "prod"),
            ("CI", "ci"),
            ("prods", "prod"),
            ("defualt", "default"),
            ("produktion", "production"),
            ("staging", ""),
            ("c", ""),
            ("", ""),
        ] {
            let wanted = if found.is_empty() { String::new() } else { format!("; did you mean {found:?}?") };
            assert_eq!(suggestion(written, names.into_iter()), wanted, "{written}");
        }
    }
}
