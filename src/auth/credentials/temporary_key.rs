//! A temporary key as the vendor's services write it down.
//!
//! `AccessKeyId`, `AccessKeySecret`, `SecurityToken`, `Expiration`: the token service nests them, the metadata service
//! and credentials services do not, and one of the vendor's services begins them with small letters.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::Value;

use crate::auth::credential::Credential;

/// A text field, whatever the case of its name; an empty one is as missing.
pub(super) fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    let fields = body.as_object()?;
    let (_, value) = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    value.as_str().filter(|text| !text.is_empty())
}

/// Reads a temporary key; `Err` names the field that is missing or can't be read.
pub(super) fn read(body: &Value) -> Result<Credential, &'static str> {
    let need = |name| text(body, name).ok_or(name);
    let mut credential = Credential::new(need("AccessKeyId")?, need("AccessKeySecret")?);
    credential.token = Some(SecretString::from(need("SecurityToken")?.to_owned()));
    credential.expires = Some(time(need("Expiration")?).ok_or("Expiration")?);
    credential.renewable = true;
    Ok(credential)
}

/// `2026-01-02T03:04:05Z`, with or without a fraction.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({"AccessKeyId": "STS.1", "AccessKeySecret": "s", "SecurityToken": "t",
               "Expiration": "2026-01-02T03:04:05Z"})
    }

    #[test]
    fn a_whole_session_is_read_in_either_case() {
        let small = json!({"accessKeyId": "STS.1", "accessKeySecret": "s", "securityToken": "t",
                           "expiration": "2026-01-02T03:04:05.000Z"});
        for body in [whole(), small] {
            let credential = read(&body).unwrap();
            assert_eq!(credential.key_id, "STS.1");
            assert_eq!(credential.expires.unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
            assert!(credential.renewable && credential.token.is_some());
        }
    }

    #[test]
    fn the_missing_field_is_named() {
        for name in ["AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"] {
            for bad in [Value::Null, json!(""), json!(7)] {
                let mut body = whole();
                body[name] = bad;
                assert_eq!(read(&body).unwrap_err(), name);
            }
        }
        let mut body = whole();
        body["Expiration"] = json!("tomorrow");
        assert_eq!(read(&body).unwrap_err(), "Expiration");
        assert_eq!(read(&json!([])).unwrap_err(), "AccessKeyId");
    }
}
