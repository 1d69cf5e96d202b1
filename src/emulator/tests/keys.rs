//! Temporary keys: the token service, the instance metadata service, the credentials service.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::env::{TestEnv, answer, get, json};
use super::gateway::code;
use crate::emulator::{Fault, FaultRule, Metadata, Reply, Scenario, Sts};

const ROLE: (&str, &str) = ("RoleArn", "acs:ram::1:role/r");
const NAME: (&str, &str) = ("RoleSessionName", "me");
const VERSION: (&str, &str) = ("Version", "2015-04-01");
const PROVIDER: (&str, &str) = ("OIDCProviderArn", "acs:ram::1:oidc-provider/x");
const TOKEN: (&str, &str) = ("OIDCToken", "a.b.c");

/// `AssumeRoleWithOIDC` as the vendor's SDKs send it.
fn with_oidc(given: &[(&str, &str)]) -> Request<Bytes> {
    let form = crate::auth::percent::join(given.iter().copied());
    Request::post("http://sts.test/?Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .unwrap()
}

fn at(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(format!("http://100.100.100.200{path}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Bytes::new()).unwrap()
}

/// What a key may do on the VOD side.
async fn with_key(env: &TestEnv, key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap();
    let given = [
        ("AccessKeyId", text("AccessKeyId")),
        ("SecurityToken", text("SecurityToken")),
        ("MediaRefreshJobId", "J"),
    ];
    let request = get(&env.params("GetMediaRefreshJobs", &given), text("AccessKeySecret"));
    code(env.emulator.handle(request).await)
}

async fn text(env: &TestEnv, request: Request<Bytes>) -> (u16, String) {
    let answer = answer(env.emulator.handle(request).await);
    (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_slip_at_the_token_service_has_its_own_code() {
    let scenario = Scenario::new().with(|scenario| {
        scenario.sts = Sts { roles: vec![ROLE.1.into()], oidc_tokens: vec![TOKEN.1.into()], ..Sts::default() }
    });
    let env = TestEnv::new(scenario);
    for (given, expected) in [
        (&[VERSION, ROLE, NAME][..], "200 ok"),
        (&[ROLE, NAME], "400 InvalidVersion"),
        (&[VERSION, NAME], "400 MissingParameter"),
        (&[VERSION, ("RoleArn", "r"), NAME], "400 InvalidParameter.RoleArn"),
        (&[VERSION, ROLE, ("RoleSessionName", "a b")], "400 InvalidParameter.RoleSessionName"),
        (&[VERSION, ROLE, NAME, ("DurationSeconds", "899")], "400 InvalidParameter.DurationSeconds"),
        (&[VERSION, ("RoleArn", "acs:ram::1:role/other"), NAME], "404 EntityNotExist.Role"),
        (&[VERSION, ROLE, NAME, ("AccessKeyId", "nobody")], "404 InvalidAccessKeyId.NotFound"),
    ] {
        assert_eq!(code(env.reply("AssumeRole", given).await), expected, "{given:?}");
    }
    for (given, expected) in [
        (&[ROLE, NAME, PROVIDER, TOKEN][..], "200 ok"),
        (&[ROLE, NAME, PROVIDER], "400 MissingParameter"),
        (&[ROLE, NAME, PROVIDER, ("OIDCToken", "a.b.c\n")], "400 AuthenticationFail.OIDCToken.Expired"),
        (&[ROLE, NAME, ("OIDCProviderArn", "x"), TOKEN], "400 InvalidParameter.OIDCProviderArn"),
    ] {
        assert_eq!(code(env.emulator.handle(with_oidc(given)).await), expected, "{given:?}");
    }
    let shown = serde_json::to_string(&env.emulator.calls()).unwrap();
    assert!(!shown.contains(TOKEN.1), "tokens are blanked out");
}

#[tokio::test(start_paused = true)]
async fn a_denied_role_names_the_permission() {
    let env = TestEnv::new(Scenario::new().with(|s| s.deny.push("AssumeRole".into())));
    let (status, body) = env.call("AssumeRole", &[VERSION, ROLE, NAME]).await;
    assert_eq!((status, body["Code"].as_str()), (403, Some("NoPermission")));
    assert_eq!(body["AccessDeniedDetail"]["AuthAction"], "sts:AssumeRole");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_good_with_its_token_until_it_ends_or_is_revoked() {
    let env = TestEnv::new(Scenario::new());
    let (_, body) = env.call("AssumeRole", &[VERSION, ROLE, NAME, ("DurationSeconds", "900")]).await;
    let key = &body["Credentials"];
    assert_eq!(key["Expiration"], "2025-06-15T15:21:40Z");
    assert_eq!(with_key(&env, key).await, "200 ok");
    let mut wrong = key.clone();
    wrong["SecurityToken"] = "x".into();
    assert_eq!(with_key(&env, &wrong).await, "400 InvalidSecurityToken.Malformed");
    tokio::time::sleep(Duration::from_secs(899)).await;
    assert_eq!(with_key(&env, key).await, "200 ok");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(with_key(&env, key).await, "400 InvalidSecurityToken.Expired");
    let (_, body) = json(env.emulator.handle(with_oidc(&[ROLE, NAME, PROVIDER, TOKEN])).await);
    assert_eq!(with_key(&env, &body["Credentials"]).await, "200 ok");
    env.emulator.revoke_sessions();
    assert_eq!(with_key(&env, &body["Credentials"]).await, "400 InvalidSecurityToken.Expired");
}

#[tokio::test(start_paused = true)]
async fn the_metadata_service_gives_a_token_a_role_and_its_key() {
    let env =
        TestEnv::new(Scenario::new().with(|s| s.metadata = Metadata { v1: false, ..Metadata::default() }));
    let path = "/latest/meta-data/ram/security-credentials/";
    let life = "x-aliyun-ecs-metadata-token-ttl-seconds";
    assert_eq!(text(&env, at("PUT", "/latest/api/token", &[])).await.0, 400);
    assert_eq!(text(&env, at("PUT", "/latest/api/token", &[(life, "21601")])).await.0, 400);
    let (status, token) = text(&env, at("PUT", "/latest/api/token", &[(life, "60")])).await;
    assert_eq!(status, 200);
    let headers = [("X-aliyun-ecs-metadata-token", token.as_str())];
    assert_eq!(text(&env, at("GET", path, &headers)).await, (200, "emulator-role".into()));
    let key = text(&env, at("GET", &format!("{path}emulator-role"), &headers)).await.1;
    let key: Value = serde_json::from_str(&key).unwrap();
    assert_eq!(key["Code"], "Success");
    assert_eq!(with_key(&env, &key).await, "200 ok");
    assert_eq!(text(&env, at("GET", &format!("{path}other"), &headers)).await.0, 404);
    assert_eq!(text(&env, at("GET", path, &[])).await.0, 403);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(text(&env, at("GET", path, &headers)).await.0, 401);
    let none = TestEnv::new(
        Scenario::new().with(|s| s.metadata = Metadata { role: String::new(), ..Metadata::default() }),
    );
    assert_eq!(text(&none, at("GET", path, &[])).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn the_credentials_service_gives_a_new_key_each_time_and_faults_strike_it() {
    let rule = FaultRule::on("CredentialsUri", Fault::ResetBefore).skip(2);
    let env = TestEnv::new(Scenario::new().with_fault(rule));
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (_, key) = json(env.emulator.handle(at("GET", "/credentials", &[])).await);
        assert_eq!(with_key(&env, &key).await, "200 ok");
        keys.push(key["AccessKeyId"].clone());
    }
    assert_ne!(keys[0], keys[1]);
    assert!(matches!(env.emulator.handle(at("GET", "/credentials", &[])).await, Reply::Reset));
    assert_eq!(env.emulator.count("CredentialsUri"), 3);
}
