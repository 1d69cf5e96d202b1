//! Keeps secrets out of texts that come from outside.
//!
//! A service, or a proxy in between, may repeat a request in its error text. Tokens and keys are part of requests, and
//! error texts end up in logs and reports.

use std::borrow::Cow;

use secrecy::ExposeSecret as _;

use super::credential::Credential;
use super::percent;
use super::rpc::Params;
use crate::error::Error;
use crate::ids::{RequestId, masked_address};

/// Replaces a secret.
const HIDDEN: &str = "<secret>";
/// Anything shorter, in bytes, is no secret, and may be part of any word.
const MIN_SECRET_BYTES: usize = 4;
/// The one parameter, besides the token, that is a secret as a whole: the key that signs callbacks.
const SECRET_PARAMETER: &str = "AuthKey";
/// What stands before a callback URL in `UserData`, which is JSON. A URL has nothing in it that JSON escapes.
const URL_IN_USER_DATA: &str = "\"CallbackURL\":\"";

/// The secrets of a call with `params` that `credential` signed.
pub(crate) fn secrets_of<'a>(credential: &'a Credential, params: Option<&'a Params>) -> Vec<&'a str> {
    let token = credential.token.as_ref().map(|token| token.expose_secret());
    let key = params.and_then(|params| params.get(SECRET_PARAMETER)).map(String::as_str);
    let urls = params.map(callback_urls).into_iter().flatten();
    std::iter::once(credential.secret.expose_secret()).chain(token).chain(key).chain(urls).collect()
}

/// The callback URLs in `params` that hold a password or a query.
fn callback_urls(params: &Params) -> impl Iterator<Item = &str> {
    let in_user_data =
        params.get("UserData").and_then(|data| data.split_once(URL_IN_USER_DATA)?.1.split('"').next());
    let given = [params.get("CallbackURL").map(String::as_str), in_user_data];
    given.into_iter().flatten().filter(|url| masked_address(url) != *url)
}

/// `error` with a placeholder for each of `secrets` in all that a service can write into it.
pub(crate) fn masked(error: Error, secrets: &[&str]) -> Error {
    let hide = |text: &str| hidden(text, secrets.iter().copied());
    let message = hide(error.message()).unwrap_or_else(|| error.message().to_owned());
    let code = error.code().map(|code| hide(code).unwrap_or_else(|| code.to_owned()));
    let id = harmless_id(error.request_id().cloned(), secrets);
    let error = error.with_message(message).with_request_id(id);
    match code {
        Some(code) => error.with_code(code),
        None => error,
    }
}

/// `id` unless it holds one of `secrets`.
pub(crate) fn harmless_id(id: Option<RequestId>, secrets: &[&str]) -> Option<RequestId> {
    id.filter(|id| hidden(id.as_str(), secrets.iter().copied()).is_none())
}

/// `text` with a placeholder for each of `secrets`, as it is or percent-encoded; `None` if it holds none.
pub(crate) fn hidden<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut shown = Cow::Borrowed(text);
    // A secret is at least as long in each of its encoded forms.
    let may_hold = |secret: &&str| (MIN_SECRET_BYTES..=text.len()).contains(&secret.len());
    for secret in secrets.into_iter().map(str::trim).filter(may_hold) {
        let once = percent::encode(secret);
        // The text that is signed holds the token encoded twice; forms write a blank as `+`.
        for form in [secret, &once, &percent::encode(&once), &once.replace("%20", "+")] {
            if let Some(hidden) = replaced(&shown, form) {
                shown = Cow::Owned(hidden);
            }
        }
    }
    match shown {
        Cow::Owned(shown) => Some(shown).filter(|shown| shown != text),
        Cow::Borrowed(_) => None,
    }
}

/// Replaces `part` whatever the case of its letters: hex digits come in both. `None` if it is not there.
fn replaced(text: &str, part: &str) -> Option<String> {
    let (lower, part) = (text.to_ascii_lowercase(), part.to_ascii_lowercase());
    if !lower.contains(&part) {
        return None;
    }
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices(&part) {
        shown.push_str(&text[from..at]);
        shown.push_str(HIDDEN);
        from = at + part.len();
    }
    shown.push_str(&text[from..]);
    Some(shown)
}

/// Splits a message before the text that the service signed, which holds key id, token or receipt handle: none of that goes
/// into an error. The second part is that text, if the message has it.
pub(crate) fn split_at_string_to_sign(message: &str) -> (&str, Option<&str>) {
    let lower = message.to_ascii_lowercase();
    let marker = ["server string to sign", "string to sign"].into_iter().find(|text| lower.contains(text));
    let Some((marker, start)) = marker.and_then(|marker| Some((marker, lower.find(marker)?))) else {
        return (message.trim_end_matches(ENDS), None);
    };
    let signed = message[start + marker.len()..].strip_prefix(" is:").map(str::trim);
    (message[..start].trim_end_matches(ENDS), signed)
}

const ENDS: [char; 5] = [' ', ',', ';', ':', '.'];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_secret_is_hidden_in_each_dress_and_the_rest_stays() {
        for echoed in
            ["to/k+é n", "to%2Fk%2B%C3%A9%20n", "to%2fk%2b%c3%a9%20n", "to%252Fk%252B%25C3%25A9%2520n"]
        {
            let text = format!("媒体: no route to /?Token={echoed}&x={echoed} here");
            let shown = hidden(&text, ["to/k+é n"]).unwrap();
            assert_eq!(shown, "媒体: no route to /?Token=<secret>&x=<secret> here");
        }
        assert_eq!(hidden("to/k+é n+", ["other", "", " "]), None);
    }

    #[test]
    fn an_error_loses_token_secret_and_callback_key_and_nothing_else() {
        let credential = Credential::new("keyid", "SECRETMARK").with_token("TOKENMARK");
        let params = Params::from([("AuthKey".to_owned(), "KEYMARK".to_owned())]);
        let error = Error::new(ErrorKind::Rejected, "keyid TOKENMARK SECRETMARK KEYMARK").with_code("C");
        let error = masked(error, &secrets_of(&credential, Some(&params)));
        assert_eq!((error.message(), error.code()), ("keyid <secret> <secret> <secret>", Some("C")));
        let id = RequestId::new("TOKENMARK").ok();
        let error = Error::new(ErrorKind::Rejected, "m").with_code("Bad.TOKENMARK").with_request_id(id);
        let error = masked(error, &secrets_of(&credential, None));
        assert_eq!(error.to_string(), "Bad.<secret>: m");
    }
    #[test]
    fn h23_a_callback_url_with_a_token_that_the_service_repeats_is_hidden() {
        let credential = Credential::new("keyid", "SECRETMARK");
        let url = "https://u:MARK@h.test/vod?token=MARK";
        let user_data =
            format!(r#"{{"Extend":{{}},"MessageCallback":{{"CallbackType":"http","CallbackURL":"{url}"}}}}"#);
        for (name, value) in [("CallbackURL", url.to_owned()), ("UserData", user_data)] {
            let params = Params::from([(name.to_owned(), value.clone())]);
            for text in [value.clone(), percent::encode(&value)] {
                let error = Error::new(ErrorKind::Rejected, format!("wrong: {text}"));
                let error = masked(error, &secrets_of(&credential, Some(&params)));
                assert!(error.message().contains("<secret>") && !error.message().contains("MARK"), "{error}");
            }
        }
        let params = Params::from([("CallbackURL".to_owned(), "https://h.test/vod".to_owned())]);
        let error = masked(
            Error::new(ErrorKind::Rejected, "https://h.test/vod"),
            &secrets_of(&credential, Some(&params)),
        );
        assert_eq!(error.message(), "https://h.test/vod");
    }

    #[test]
    fn what_was_signed_is_cut_off_a_message() {
        for (message, shown, signed) in [
            ("Not matched. Server string to sign is: GET&%2F ", "Not matched", Some("GET&%2F")),
            ("Not matched, string to sign: GET", "Not matched", None),
            ("Not matched.", "Not matched", None),
        ] {
            assert_eq!(split_at_string_to_sign(message), (shown, signed), "{message}");
        }
    }
}
