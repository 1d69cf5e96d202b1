//! `~/.pgpass`: passwords by host, port, database and user, as libpq reads it.

use std::path::Path;

use secrecy::SecretString;
use tracing::warn;

/// Folders of Unix sockets that stand as `localhost` in the file.
pub(super) const USUAL_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The password of the first line that fits. A file that others may read is ignored.
pub(super) fn look_up(
    file: &Path,
    host: &str,
    port: u16,
    database: &str,
    user: &str,
) -> Option<SecretString> {
    let found = std::fs::metadata(file).ok()?;
    if !found.is_file() {
        warn!(file = %file.display(), "the password file is no regular file: it is ignored");
        return None;
    }
    if is_open_to_others(&found) {
        warn!(file = %file.display(), "group or others may read the password file: it is ignored; `chmod 600` it");
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    find(&text, &[host, &port.to_string(), database, user])
}

/// Whether the file is there and ignored for its mode, for a message.
pub(super) fn is_ignored(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && is_open_to_others(&found))
}

#[cfg(unix)]
fn is_open_to_others(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

fn find(text: &str, wanted: &[&str; 4]) -> Option<SecretString> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [keys @ .., password] = fields.as_slice() else { return None };
        let fits = keys.len() == 4
            && keys
                .iter()
                .zip(wanted)
                .all(|((key, is_bare), wanted)| key == wanted || (key == "*" && *is_bare));
        (fits && !password.0.is_empty()).then(|| password.0.clone().into())
    })
}

/// The five fields of a line, and whether each stands there without escapes.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = vec![(String::new(), true)];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let is_last = fields.len() == 5;
        let Some((field, is_bare)) = fields.last_mut() else { break };
        match c {
            '\\' => {
                *is_bare = false;
                field.extend(chars.next());
            }
            ':' if !is_last => fields.push((String::new(), true)),
            // For libpq, a colon ends the password as well.
            ':' => break,
            c => field.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# h:5432:d:u:comment\n\nh:5433:d:u:other-port\nh:5432:d:short\nh:5432:*:u:any-database\nh:5432:d:u:later\n\
                    *:*:*:odd\\:user\\\\:with\\:colon\\\\\n";
        let of = |host: &str, database: &str, user: &str| {
            find(text, &[host, "5432", database, user]).map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(of("h", "d", "u").as_deref(), Some("any-database"));
        assert_eq!(of("other", "d", "u"), None);
        assert_eq!(of("other", "d", "odd:user\\").as_deref(), Some("with:colon\\"));
    }

    #[test]
    fn a_star_that_is_escaped_is_a_star() {
        assert!(find("\\*:*:*:*:p", &["h", "1", "d", "u"]).is_none());
        assert!(find("\\*:*:*:*:p", &["*", "1", "d", "u"]).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_ignored() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        std::fs::write(&file, "*:*:*:*:p\n").unwrap();
        for (mode, is_taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(look_up(&file, "h", 1, "d", "u").is_some(), is_taken, "{mode:o}");
            assert_eq!(is_ignored(&file), !is_taken);
        }
        assert!(look_up(&folder.path().join("none"), "h", 1, "d", "u").is_none());
    }
}
