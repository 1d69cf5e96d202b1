//! Why a node does not give a file, and which option helps.

use http::{HeaderMap, StatusCode, header};

use crate::client::quoted;
use crate::ids::masked_address;

/// What an answer without the file means; `hidden` is as in [`quoted`].
pub(super) fn reason(
    status: StatusCode,
    headers: &HeaderMap,
    is_signed: bool,
    hidden: &impl Fn(&str) -> Option<String>,
) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // What follows an equals sign may be the hash that the node expects.
    let word = text("X-Tengine-Error").or_else(|| text("X-Tengine-Bf-Error"));
    let word = word.map(|word| quoted(word.split('=').next().unwrap_or_default(), hidden));
    let code = status.as_u16();
    let says = word.as_ref().map_or_else(String::new, |word| format!(", saying \"{word}\""));
    // Not Modified is no redirect: no condition was sent, so there is no file that it could speak of.
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        let to =
            text(header::LOCATION.as_str()).map(|to| format!(" to {}", quoted(&masked_address(to), hidden)));
        return format!("the node redirects{}, which is not followed", to.unwrap_or_default());
    }
    let known = word.unwrap_or_default().to_ascii_lowercase();
    let of_signature = match is_signed {
        true => (
            "refused the signature of the URL",
            ": is it the key of this domain, and is its URL authentication of type A?",
        ),
        false => ("wants signed URLs", ": give the domain's key with `--edge-auth-key-file`"),
    };
    let rules = [
        ("req auth", of_signature),
        ("referer", ("wants another Referer", ": give one with `--edge-header 'Referer: URL'`")),
        ("ua acl", ("wants another User-Agent", ": give one with `--edge-header 'User-Agent: TEXT'`")),
        ("ip acl", ("refuses the address of this machine", "")),
        ("non-existent domain", ("does not know the domain", ": is it a node of this CDN?")),
    ];
    let rule = rules.iter().find(|(word, _)| code == 403 && known.contains(word));
    if let Some((_, (what, advice))) = rule {
        return format!("the node {what}{says}{advice}");
    }
    match code {
        304 => format!("the node answers 304, not modified, although no condition was sent{says}"),
        403 if says.is_empty() => {
            "the node answers 403 and does not say why: where the domain signs its URLs \
             `--edge-auth-key-file` helps, where it has rules on Referer `--edge-header`"
                .to_owned()
        }
        404 | 410 => format!("the node answers {code}: the file is not there{says}"),
        429 => format!("the node answers 429, too many requests{says}"),
        500..=599 => format!("the node answers {code}: it, or the origin behind it, is in trouble{says}"),
        _ => format!("the node answers {code}{says}"),
    }
}
