//! The credentials file of the vendor's SDKs: `~/.alibabacloud/credentials.ini` (Python, Java) or `credentials` (Go,
//! Node), sections of `key = value`. Never written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::chain::{Answer, Context};
use super::sts::{self, Role};
use super::{Credential, metadata, oidc, similar};
use crate::error::{Error, ErrorKind, Result};

const FILE_VARIABLE: &str = "ALIBABA_CLOUD_CREDENTIALS_FILE";
const DEFAULT_SECTION: &str = "default";

/// Asks the section called `named`, or `default`.
pub(super) async fn ask(context: &Context, named: Option<&str>) -> Result<Answer> {
    let world = &context.world;
    let name = named.unwrap_or(DEFAULT_SECTION);
    let given = world.variable(FILE_VARIABLE).map(PathBuf::from);
    let in_home = || {
        let names = [".alibabacloud/credentials.ini", ".alibabacloud/credentials"];
        names.iter().filter_map(|below| world.in_home(below)).collect()
    };
    let paths: Vec<PathBuf> = given.clone().map_or_else(in_home, |path| vec![path]);
    let mut absent = Vec::new();
    for path in &paths {
        let shown = path.display();
        let Some(text) = world.secret_file(path)? else {
            // A file that somebody named must be there.
            if given.is_some() {
                let message = format!("{shown} does not exist, which {FILE_VARIABLE} names");
                return Err(Error::new(ErrorKind::Config, message));
            }
            absent.push(format!("{shown} does not exist"));
            continue;
        };
        let mut sections =
            parse(&text).map_err(|why| Error::new(ErrorKind::Config, format!("{shown}: {why}")))?;
        let Some(fields) = sections.remove(name) else {
            let others = sections.keys().map(String::as_str);
            let meant = if named.is_some() { similar::meant(name, others) } else { String::new() };
            absent.push(format!("{shown} has no section {name:?}{meant}"));
            continue;
        };
        let section = Section { name, path, fields };
        if section.fields.get("enable").is_some_and(|on| on.eq_ignore_ascii_case("false")) {
            if named.is_some() {
                return Err(section.error("it is switched off (enable = false)"));
            }
            absent.push(format!("section {name:?} of {shown} is switched off"));
            continue;
        }
        return section.resolve(context).await.map(Answer::Found);
    }
    let why = if absent.is_empty() { "there is no home directory".into() } else { absent.join(", ") };
    Ok(Answer::Absent(why))
}

type Fields = BTreeMap<String, String>;

/// Sections by name. A `#` or `;` begins a comment at the start of a line or after a blank: inside a secret it stays.
fn parse(text: &str) -> Result<BTreeMap<String, Fields>, String> {
    let mut sections = BTreeMap::<String, Fields>::new();
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

struct Section<'a> {
    name: &'a str,
    path: &'a Path,
    fields: Fields,
}

impl Section<'_> {
    fn label(&self) -> String {
        format!("section {:?} of {}", self.name, self.path.display())
    }

    fn error(&self, why: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Config, format!("{}: {why}", self.label()))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.fields.get(key).filter(|value| !value.is_empty()).cloned()
    }

    fn need(&self, key: &str) -> Result<String> {
        self.text(key).ok_or_else(|| self.error(format!("key {key} is missing")))
    }

    fn pair(&self) -> Result<Credential> {
        Ok(Credential::new(self.need("access_key_id")?, self.need("access_key_secret")?))
    }

    fn role(&self, context: &Context) -> Result<Role> {
        let arn = self.text("role_arn").or_else(|| context.world.variable(oidc::ROLE_VARIABLE));
        Ok(Role {
            arn: arn.ok_or_else(|| self.error("key role_arn is missing"))?,
            session_name: self.text("role_session_name"),
            policy: self.text("policy"),
            ..Role::default()
        })
    }

    async fn resolve(&self, context: &Context) -> Result<Credential> {
        let about = |error: Error| error.with_message_suffix(&format!(" ({})", self.label()));
        let credential = match self.need("type")?.as_str() {
            "access_key" => self.pair()?,
            // Known to none of the vendor's packages, and what everybody tries.
            "sts" => {
                let mut credential = self.pair()?;
                let token = self.text("security_token").map_or_else(|| self.need("sts_token"), Ok)?;
                credential.token = Some(SecretString::from(token));
                credential
            }
            "ram_role_arn" => {
                sts::assume_role(context, &self.pair()?, &self.role(context)?).await.map_err(about)?
            }
            "ecs_ram_role" => metadata::role(context, self.text("role_name")).await.map_err(about)?,
            "oidc_role_arn" => {
                let (provider, file) = (self.need("oidc_provider_arn")?, self.need("oidc_token_file_path")?);
                let role = self.role(context)?;
                oidc::assume(context, &provider, Path::new(&file), &role).await.map_err(about)?
            }
            "rsa_key_pair" => return Err(self.error("type rsa_key_pair is not supported")),
            _ => return Err(self.error("key type is none of the known ones")),
        };
        Ok(credential.with_source(self.label()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_line_ends_are_taken_as_they_come() {
        let text = "\u{feff}# note\r\n[default]\r\nType = access_key ; note\r\n\r\n; note\r\n\
                    access_key_secret=a#b;c=d # note\r\nempty =\r\n[ other ]\r\nx = [1]\r\n";
        let sections = parse(text).unwrap();
        assert_eq!(sections["default"]["type"], "access_key");
        assert_eq!(sections["default"]["access_key_secret"], "a#b;c=d");
        assert_eq!(sections["default"]["empty"], "");
        assert_eq!(sections["other"]["x"], "[1]");
    }

    #[test]
    fn a_broken_line_is_named_by_its_number_and_not_repeated() {
        for (text, line) in [("[a\n", "line 1"), ("[a]\nMARK\n", "line 2"), ("\nMARK = 1", "line 2")] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(line) && !error.contains("MARK"), "{error}");
        }
    }
}
