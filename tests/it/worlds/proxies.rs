//! Answers that are not the service's: of gateways, of captive portals, and its own cut or in a wrong shape.

use serde_json::json;

use super::behaviour::Behaviour;
use super::server::{Answer, Params, State as Server};

const STATUSES: [u16; 10] = [302, 307, 400, 401, 403, 404, 407, 418, 451, 502];
/// More of them would be an outage, for which a run may end as unavailable.
const MOST_IN_A_ROW: u32 = 2;
const MOST: u32 = 10;

/// What came of it so far.
#[derive(Debug, Default)]
pub(super) struct State {
    in_a_row: u32,
    sum: u32,
    /// Of submissions: a batch of which three answers got lost is given up.
    of_submissions: u32,
    has_garbled: bool,
    has_said_what_nobody_knows: bool,
}

/// Something else than the service's answer, at random.
pub(super) fn answer(
    server: &mut Server,
    behaviour: &Behaviour,
    action: &str,
    params: &Params<'_>,
) -> Option<Answer> {
    let is_submit = action == "RefreshMediaPlayUrls";
    if behaviour.proxies > 0 && server.rng.percent(behaviour.proxies) {
        let State { in_a_row, sum, of_submissions, .. } = &mut server.proxies;
        if *in_a_row < MOST_IN_A_ROW && *sum < MOST && !(is_submit && *of_submissions == MOST_IN_A_ROW) {
            *in_a_row += 1;
            *sum += 1;
            *of_submissions += u32::from(is_submit);
            return Some(portal(server));
        }
    }
    server.proxies.in_a_row = 0;
    if behaviour.garbles && !is_submit && !server.proxies.has_garbled && server.rng.percent(25) {
        server.proxies.has_garbled = true;
        let texts = match action {
            "GetMediaRefreshJobs" => [
                r#"{"RequestId":"r","MediaRefreshJobs":"x"}"#,
                r#"{"RequestId":"r","MediaRefreshJobs":[{"MediaRef"#,
                r#"{"RequestId":"r","MediaRefreshJobs":[7]}"#,
            ],
            _ => [
                r#"{"RequestId":"r","Tasks":{"Task":{}}}"#,
                r#"{"RequestId":"r","Tasks":{"Task":[{"TaskId":"#,
                r#"{"RequestId":"r","Tasks":"x"}"#,
            ],
        };
        let body = server.rng.one_of(&texts).into();
        return Some(Answer { status: 200, location: None, body });
    }
    // Once is not three looks over two minutes.
    let asks_one = params.get("TaskId").is_some_and(|id| !id.is_empty());
    if behaviour.unknown_code
        && asks_one
        && !server.proxies.has_said_what_nobody_knows
        && server.rng.percent(30)
    {
        server.proxies.has_said_what_nobody_knows = true;
        return Some(Answer::error(400, "SomethingNew"));
    }
    None
}

fn portal(server: &mut Server) -> Answer {
    let status = server.rng.one_of(&STATUSES);
    let location = matches!(status, 302 | 307).then_some("https://portal.example.test/login");
    let body = match server.rng.below(4) {
        0 if status != 502 => Vec::new(),
        1 => json!({ "error": "blocked by policy" }).to_string().into_bytes(),
        _ => b"<html><head><title>Portal</title></head><body>Sign in</body></html>".to_vec(),
    };
    Answer { status, location, body }
}
