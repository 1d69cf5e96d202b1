//! Databases that can't be used: nothing is submitted, the exit code is 3, and the words name the database and the next step.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::fencing::open_cloud;
use super::server::{Database, Server};
use crate::support::program::{Cloud, Home, end};

/// A refresh with this journal is refused before anything is submitted; gives back what it says.
#[track_caller]
pub(super) fn refused(cloud: &Cloud, journal: &str) -> String {
    let line = ["refresh", "m1", "--endpoint", &cloud.endpoint, "--journal", journal, "--progress", "never"];
    let ended = Home::new().run(&line);
    assert_eq!((ended.code, cloud.emulator.calls().len()), (Some(3), 0), "{journal}: {ended:?}");
    let advice = "`--journal FILE` keeps it elsewhere, `--no-journal` keeps none";
    assert!(ended.stderr.contains(advice), "{}", ended.stderr);
    ended.stderr.lines().next().unwrap().to_owned()
}

fn socket(server: &Server) -> String {
    format!("{}/.s.PGSQL.{}", server.folder().display(), server.port)
}

#[test]
fn a_database_that_cannot_be_used_says_why() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database) = (open_cloud(), server.database());
    let socket = socket(server);
    let name = &database.name;
    let none = Database { server, name: "nowhere".to_owned() };
    for (url, why) in [
        (none.url(), format!("there is no database `nowhere` on {socket}: make it with `createdb nowhere`")),
        (
            database.url_of("needs_password"),
            format!(
                "{socket} asks for a password of user `needs_password`: give it in PGPASSWORD or ~/.pgpass"
            ),
        ),
        (
            database.url_of("locked_out"),
            format!(
                "{socket} does not let user `locked_out` in: pg_hba.conf rejects connection for host \"[local]\", user \
                 \"locked_out\", database \"{name}\", no encryption; see its pg_hba.conf"
            ),
        ),
        (
            database.url_of("maker_of_nothing"),
            format!(
                "user `maker_of_nothing` may not make tables in it: user `maker_of_nothing` lacks a permission in database `{name}` \
                 on {socket}: permission denied for schema public; the owner of the database can grant it; `GRANT CREATE ON SCHEMA \
                 public TO maker_of_nothing` in database `{name}` allows it"
            ),
        ),
        (
            database.url_of("cautious"),
            format!(
                "database `{name}` on {socket} is read-only for user `cautious`: see its `default_transaction_read_only`"
            ),
        ),
    ] {
        assert_eq!(refused(&cloud, &url), format!("error: the journal {url} can't be used: {why}"));
    }
    let left = database.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'vod_refresh%'");
    assert_eq!(left, ["0"], "nothing was made");
}

#[test]
fn whoever_finds_no_run_to_carry_on_has_made_nothing() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    for line in ["resume", "resume 0197f3c2-0000-7000-8000-000000000000", "status --check", "runs"] {
        let ended = Home::new().run(&database.line(line));
        assert_eq!(ended.code, Some(if line == "runs" { 0 } else { 2 }), "{line}: {ended:?}");
        assert!(ended.stderr.contains("in the journal postgres://"), "{line}: {}", ended.stderr);
        let made = database.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'vod_refresh%'");
        assert_eq!(made, ["0"], "{line}");
    }
}

#[test]
fn servers_that_are_not_there_or_say_nothing_are_given_up() {
    let cloud = open_cloud();
    let url = "postgres://u@127.0.0.1:1/d";
    let said = refused(&cloud, url);
    assert_eq!(
        said,
        format!(
            "error: the journal {url} can't be used: 127.0.0.1:1 can't be reached: Connection refused (os error 111)"
        )
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://u@127.0.0.1:{port}/d?connect_timeout=1");
    assert_eq!(
        refused(&cloud, &url),
        format!(
            "error: the journal {url} can't be used: 127.0.0.1:{port} can't be reached: no answer within 1 s (`connect_timeout`)"
        )
    );
    for url in ["postgres://u:p@ss@h/d", "postgres://u@h:port/d", "postgres://u@h/d?unheard=of"] {
        let said = refused(&cloud, url);
        assert!(
            said.contains("the address can't be read: write it as `postgres://USER@HOST:PORT/DB`"),
            "{said}"
        );
        assert!(!said.contains("p@ss") && !said.contains("unheard"), "{said}");
    }
}

/// Speaks the first words of a server of 2019.
fn old_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut bytes = [0; 1_024];
            let Ok(1..) = client.read(&mut bytes) else { continue };
            let message = |kind: u8, body: &[u8]| {
                let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
                [&[kind][..], &length, body].concat()
            };
            let hello = [
                message(b'R', &[0; 4]),
                message(b'S', b"server_version\x0012.22 (Debian 12.22-1)\0"),
                message(b'K', &[0; 8]),
                message(b'Z', b"I"),
            ];
            let _ = client.write_all(&hello.concat());
            let _ = client.read(&mut bytes);
        }
    });
    port
}

#[test]
fn a_server_that_is_too_old_says_so() {
    let url = format!("postgres://u@127.0.0.1:{}/d?sslmode=disable", old_server());
    let target = url.split(['@', '/']).nth(3).unwrap();
    assert_eq!(
        refused(&open_cloud(), &url),
        format!(
            "error: the journal {url} can't be used: {target} is PostgreSQL 12.22 (Debian 12.22-1): 13 or newer is needed"
        )
    );
}

#[test]
fn a_table_of_somebody_else_is_left_as_it_is() {
    let Some(server) = Server::shared() else { return };
    let cloud = open_cloud();
    for table in ["vod_refresh_meta", "vod_refresh_run", "vod_refresh_fact", "vod_refresh_shared"] {
        let database = server.database();
        database.sql(&format!("CREATE TABLE {table} (mark text, version int, theirs text); INSERT INTO {table} VALUES ('x', 1, 'y')"));
        let url = database.url();
        let said = refused(&cloud, &url);
        assert_eq!(
            said,
            format!(
                "error: the journal {url} can't be used: the table `{table}` in database `{}` is another program's: use another \
                 database, or another schema with `?options=-csearch_path%3DSCHEMA`",
                database.name
            )
        );
        let looked = Home::new().run(&database.line("runs"));
        assert_eq!(looked.code, Some(3), "{looked:?}");
        assert_eq!(database.sql(&format!("SELECT * FROM {table}")), ["x|1|y"]);
        let tables =
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'vod_refresh%' AND relkind IN ('r', 'i')";
        assert_eq!(database.sql(tables), ["1"]);
        // What the message advises helps.
        database.sql("CREATE SCHEMA ours");
        let elsewhere = format!("{url}?options=-csearch_path%3Dours");
        let ended = Home::new().run(&["runs", "--journal", &elsewhere]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    // It looks like ours, and is not.
    let database = server.database();
    database.sql("CREATE TABLE vod_refresh_meta (mark text, version int, identity text); INSERT INTO vod_refresh_meta VALUES ('x', 1, 'y')");
    assert!(refused(&cloud, &database.url()).contains("is another program's"));
}

#[test]
fn h10_a_journal_of_a_newer_version_is_left_as_it_is() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database) = (open_cloud(), server.database());
    assert_eq!(short_run(&cloud, &database), Some(8));
    database.sql("UPDATE vod_refresh_meta SET version = 99");
    let calls = cloud.emulator.calls().len();
    for line in ["resume", "runs", "status"] {
        let ended = Home::new().run(&database.line(line));
        assert_eq!((ended.code, cloud.emulator.calls().len()), (Some(3), calls), "{line}: {ended:?}");
        let says = format!(
            "error: the journal {} can't be used: a newer version of this tool wrote to database `{}` (form 99): use that one",
            database.url(),
            database.name
        );
        assert_eq!(ended.stderr.lines().next(), Some(says.as_str()));
    }
}

fn short_run(cloud: &Cloud, database: &Database<'_>) -> Option<i32> {
    let line = format!("refresh m1 --endpoint {} --timeout 3s", cloud.endpoint);
    Home::new().run(&database.line(&line)).code
}

/// Looking needs the permission to look, and nothing more.
#[test]
fn a_login_that_may_only_read_can_show_runs() {
    let Some(server) = Server::shared() else { return };
    let (cloud, database) = (open_cloud(), server.database());
    let home = Home::new();
    let reader = database.url_of("reader");
    let nothing = home.run(&["runs", "--journal", &reader, "-o", "json"]);
    assert_eq!((nothing.code, nothing.stdout.trim()), (Some(0), "[]"), "{nothing:?}");
    assert_eq!(database.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'vod_refresh%'"), ["0"]);
    assert_eq!(short_run(&cloud, &database), Some(8));
    database.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    let runs = home.run(&["runs", "--journal", &reader, "-o", "json"]);
    assert_eq!((runs.code, runs.json().as_array().unwrap().len()), (Some(0), 1), "{runs:?}");
    let shown = home.run(&["status", "--journal", &reader, "-o", "json"]);
    assert_eq!((shown.code, &shown.json()["outcome"]), (Some(0), &"unfinished".into()), "{shown:?}");
    let submits = cloud.submits();
    let resumed = home.run(&["resume", "--journal", &reader, "--endpoint", &cloud.endpoint]);
    assert_eq!((resumed.code, cloud.submits()), (Some(3), submits), "{resumed:?}");
    assert!(resumed.stderr.contains("user `reader` lacks a permission"), "{}", resumed.stderr);
}

#[test]
fn eight_processes_that_open_a_new_database_at_once_make_its_tables_once() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let cloud = Cloud::new(vod_refresh::emulator::Scenario::new().with(|s| s.urls_per_media = 1));
    let homes: [Home; 8] = std::array::from_fn(|_| Home::new());
    let line = |n: usize| format!("refresh m{n} --endpoint {}", cloud.endpoint);
    let children: Vec<_> =
        homes.iter().enumerate().map(|(n, home)| home.start(&database.line(&line(n)))).collect();
    for child in children {
        let ended = end(child);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!(database.sql("SELECT mark, version FROM vod_refresh_meta"), ["vod-refresh journal|1"]);
    let runs = Home::new().run(&database.line("runs -o json")).json();
    let complete = runs.as_array().unwrap().iter().filter(|run| run["outcome"] == "complete").count();
    assert_eq!(complete, 8, "{runs}");
}

/// A real replica: what is there can be seen from it, and nothing is written to it.
#[test]
fn a_replica_shows_runs_and_takes_none() {
    let Some(server) = Server::new() else { return };
    let (cloud, database) = (open_cloud(), server.database());
    assert_eq!(short_run(&cloud, &database), Some(8));
    let replica = server.replica();
    let (url, calls) = (replica.named(&database.name).url(), cloud.emulator.calls().len());
    let runs = Home::new().run(&["runs", "--journal", &url, "-o", "json"]);
    assert_eq!((runs.code, runs.json().as_array().unwrap().len()), (Some(0), 1), "{runs:?}");
    assert_eq!(Home::new().run(&["status", "--journal", &url]).code, Some(0));
    for line in ["refresh m1 --progress never", "resume"] {
        let mut words: Vec<_> = line.split(' ').collect();
        words.extend(["--endpoint", &cloud.endpoint, "--journal", &url]);
        let ended = Home::new().run(&words);
        assert_eq!((ended.code, cloud.emulator.calls().len()), (Some(3), calls), "{ended:?}");
        let says = format!(
            "the journal {url} can't be used: {} is a read-only replica: name the primary, or all servers with \
             `target_session_attrs=read-write`",
            socket(&replica)
        );
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
    }
    // As it advises: of both, the one that can be written is found, in whichever order they stand.
    let both = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{}?target_session_attrs=read-write",
        replica.port, server.port, database.name
    );
    cloud.complete(&["m1"]);
    let resumed = Home::new().run(&["resume", "--endpoint", &cloud.endpoint, "--journal", &both]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
}

#[test]
fn the_servers_list_of_sessions_names_the_tool() {
    let Some(server) = Server::shared() else { return };
    let (cloud, home, database) = (open_cloud(), Home::new(), server.database());
    let child = super::fencing::start(&cloud, &home, &database, "refresh m1", 1);
    let names = format!(
        "SELECT DISTINCT left(application_name, 12) FROM pg_stat_activity WHERE datname = '{}'",
        database.name
    );
    assert_eq!(server.sql("postgres", &names), ["vod-refresh "]);
    cloud.complete(&["m1"]);
    assert_eq!(end(child).code, Some(0));
}
