//! `~/.aliyun/config.json`, the file of the `aliyun` command: which profile, and its fields. Never written.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::chain::{Answer, Context};
use super::{profile, similar};
use crate::error::{Error, ErrorKind, Result};

const FILE_VARIABLE: &str = "ALIBABA_CLOUD_CONFIG_FILE";
const DISABLED_VARIABLE: &str = "ALIBABA_CLOUD_CLI_PROFILE_DISABLED";

/// Asks the profile called `named`, or the file's current one.
pub(super) async fn ask(context: &Context, named: Option<&str>) -> Result<Answer> {
    let world = &context.world;
    if world.is_on(DISABLED_VARIABLE) {
        return Ok(Answer::Absent(format!("{DISABLED_VARIABLE} is on")));
    }
    let given = world.variable(FILE_VARIABLE).map(PathBuf::from);
    let Some(path) = given.clone().or_else(|| world.in_home(".aliyun/config.json")) else {
        return Ok(Answer::Absent("there is no home directory".into()));
    };
    let Some(text) = world.secret_file(&path)? else {
        let absent = format!("{} does not exist", path.display());
        // A file that somebody named must be there.
        return if given.is_some() {
            Err(Error::new(ErrorKind::Config, format!("{absent}, which {FILE_VARIABLE} names")))
        } else {
            Ok(Answer::Absent(absent))
        };
    };
    let config = CliConfig::read(path, &text)?;
    match named {
        Some(name) => match config.profile(name)? {
            Some(profile) => profile::resolve(context, &config, &profile).await.map(Answer::Found),
            None => {
                let meant = similar::meant(name, config.names());
                Ok(Answer::Absent(format!("{} has no profile {name:?}{meant}", config.path.display())))
            }
        },
        None => current(context, &config).await,
    }
}

async fn current(context: &Context, config: &CliConfig) -> Result<Answer> {
    let path = config.path.display();
    let current = config.document.get("current").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = current.unwrap_or("default");
    match config.profile(name)? {
        // The `aliyun` command writes a profile without keys when it is first called.
        Some(profile) if profile.is_blank() => {
            Ok(Answer::Absent(format!("profile {name:?} of {path} holds no key")))
        }
        Some(profile) => profile::resolve(context, config, &profile).await.map(Answer::Found),
        None if current.is_some() => {
            let message = format!("{path}: current names profile {name:?}, which does not exist");
            Err(Error::new(ErrorKind::Config, message))
        }
        None => Ok(Answer::Absent(format!("{path} has no profile {name:?}"))),
    }
}

/// The file as it was read.
#[derive(Debug)]
pub(super) struct CliConfig {
    path: PathBuf,
    document: Map<String, Value>,
}

impl CliConfig {
    pub(super) fn read(path: PathBuf, text: &str) -> Result<Self> {
        let broken = |why: String| Error::new(ErrorKind::Config, format!("{}: {why}", path.display()));
        // Syntax errors name line and column and quote nothing.
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Value::Object(document)) => Ok(Self { path, document }),
            Ok(_) => Err(broken("it is JSON but no object".into())),
            Err(error) => Err(broken(format!("it is not JSON: {error}"))),
        }
    }

    /// The profile of this name; names are compared exactly.
    pub(super) fn profile<'a>(&'a self, name: &'a str) -> Result<Option<Profile<'a>>> {
        let broken = |why: &str| Error::new(ErrorKind::Config, format!("{}: {why}", self.path.display()));
        let profiles = match self.document.get("profiles") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(profiles)) => profiles,
            Some(_) => return Err(broken("profiles is no list")),
        };
        let mut objects = profiles.iter().filter_map(Value::as_object);
        let found = objects.find(|fields| fields.get("name").and_then(Value::as_str) == Some(name));
        Ok(found.map(|fields| Profile { name, path: &self.path, fields }))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let profiles = self.document.get("profiles").and_then(Value::as_array);
        profiles.into_iter().flatten().filter_map(|profile| profile.get("name")?.as_str())
    }
}

/// One profile's fields. Its errors name file, profile and field, never a value.
pub(super) struct Profile<'a> {
    pub(super) name: &'a str,
    path: &'a Path,
    fields: &'a Map<String, Value>,
}

impl Profile<'_> {
    /// How people know it: `profile "prod" of ~/.aliyun/config.json`.
    pub(super) fn label(&self) -> String {
        format!("profile {:?} of {}", self.name, self.path.display())
    }

    pub(super) fn error(&self, why: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Config, format!("{}: {why}", self.label()))
    }

    /// A text field; an empty one is as missing.
    pub(super) fn text(&self, field: &str) -> Result<Option<String>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.error(format!("field {field} is no text"))),
        }
    }

    pub(super) fn need(&self, field: &str) -> Result<String> {
        self.text(field)?.ok_or_else(|| self.error(format!("field {field} is missing")))
    }

    /// A whole number above 0; 0 is as missing, as the `aliyun` command writes it.
    pub(super) fn number(&self, field: &str) -> Result<Option<u64>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_u64();
                let number = number.ok_or_else(|| self.error(format!("field {field} is no whole number")))?;
                Ok(Some(number).filter(|number| *number > 0))
            }
        }
    }

    pub(super) fn is_on(&self, field: &str) -> bool {
        self.fields.get(field).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether it is the empty shell that the `aliyun` command begins with.
    fn is_blank(&self) -> bool {
        let empty = |field: &str| match self.fields.get(field) {
            None | Some(Value::Null) => true,
            Some(value) => value.as_str() == Some(""),
        };
        let shell = empty("mode") || self.fields.get("mode").and_then(Value::as_str) == Some("AK");
        shell && empty("access_key_id") && empty("access_key_secret")
    }
}
