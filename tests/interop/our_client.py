"""The other way round: what `vod-refresh` puts on the wire is verified by the vendor's own signers.
usage: our_client.py PATH_OF_VOD_REFRESH"""
import json
import os
import subprocess
import sys
import tempfile

import verifier
from checks import check, equal, finish
from pretend_queue import FOREIGN
from pretend_service import PretendService

ODD = "a~b *+/%&=?#'\"!()[]中 文"
TOKEN = "CAIS/T+oken=="
CALLS = {"RefreshMediaPlayUrls", "GetMediaRefreshJobs", "DescribeVodRefreshTasks"}
VERSIONS = {"v1": verifier.v1, "v3": verifier.v3}


def vod_refresh(*words, token=None):
    """Runs it in an empty home; gives back exit code, report and stderr."""
    with tempfile.TemporaryDirectory() as home:
        env = {"HOME": home, "ALIBABA_CLOUD_ACCESS_KEY_ID": "testid", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "testsecret",
               "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
        env |= {"ALIBABA_CLOUD_SECURITY_TOKEN": token} if token else {}
        ran = subprocess.run([os.path.abspath(sys.argv[1]), *words], env=env, cwd=home, timeout=60,
                             capture_output=True, text=True)
    return ran.returncode, json.loads(ran.stdout or "{}"), ran.stderr


def refresh(service, version, *words, token=None):
    return vod_refresh("refresh", "m1", "m2", "--endpoint", service.url, "--signature-version", version, "--extend", ODD,
                       "--formats", "mp4,m3u8", "--timeout", "30s", "--poll-interval", "200ms", "--output", "json",
                       *words, token=token)


def whole(service, ran, confirmed_by):
    """The run is complete, and nothing it sent was refused."""
    equal(service.refused, [])
    code, report, stderr = ran
    if code != 0:
        raise AssertionError(f"exit code {code}: {stderr}")
    equal([(media["state"], media["confirmed_by"]) for media in report["media"]], [("complete", confirmed_by)] * 2)
    submits = [params for action, params in service.calls if action == "RefreshMediaPlayUrls"]
    equal([params["MediaIds"] for params in submits], ["m1,m2"])
    equal(json.loads(submits[0]["UserData"])["Extend"]["text"], ODD)
    equal(submits[0]["Formats"], "mp4,m3u8")


for version, verify in VERSIONS.items():
    for token in (None, TOKEN):
        kind = "with an STS token" if token else "with a key"
        with check(f"our client, {version} {kind}: every call is signed as the vendor's signer does it"):
            with PretendService(verify, token=token) as service:
                whole(service, refresh(service, version, token=token), "lookup")
                equal(service.actions(), CALLS)

    with check(f"our client, {version}: URLs with odd letters are signed as the vendor's signer does it"):
        urls = ["https://a.test/中 文~*+'()!.mp4?a=b%20c&d=[1]", "a.test/2.mp4"]
        for command, action in ("refresh-urls", "RefreshVodObjectCaches"), ("preload-urls", "PreloadVodObjectCaches"):
            with PretendService(verify) as service:
                code, report, stderr = vod_refresh(command, *urls, "--endpoint", service.url, "--signature-version", version,
                                                   "--poll-interval", "200ms", "--timeout", "30s", "--output", "json")
                equal((service.refused, code, stderr if code else ""), ([], 0, ""))
                equal([url["state"] for url in report["urls"]], ["complete"] * 2)
                equal(service.actions(), {action, "DescribeVodRefreshTasks"})

    with check(f"our client, {version}: where the vendor's signer has another secret, nothing passes"):
        with PretendService(verify, secret="another") as service:
            code, _, stderr = refresh(service, version)
            equal((code, service.calls, bool(service.refused)), (4, [], True))

for encoded in (False, True):
    token = TOKEN if encoded else None
    kind = "Base64, with an STS token" if encoded else "raw, with a key"
    with check(f"our client, queue {kind}: every call is signed as the vendor's SDK does it"):
        with PretendService(verifier.v1, token=token, encoded=encoded) as service:
            queue = f"{service.url}/queues/vod-events"
            whole(service, refresh(service, "v1", "--queue", queue, "--lookup-after", "20s", token=token), "queue")
            # Deleted together, so a body was signed as well; what is not ours was released.
            equal(service.actions() - CALLS, {"BatchReceiveMessage", "BatchDeleteMessage", "ChangeMessageVisibility"})
            equal(service.queue.deleted, set(service.queue.taken) - {FOREIGN})

with check("our client, queue: the look at its attributes is signed as the vendor's SDK does it"):
    with PretendService(verifier.v1) as service:
        queue = f"{service.url}/queues/vod-events"
        vod_refresh("doctor", "--endpoint", service.url, "--queue", queue, "--output", "json")
        equal((service.refused, "GetQueueAttributes" in service.actions()), ([], True))

with check("our client, queue: where the vendor's SDK has another secret, no message passes"):
    with PretendService(verifier.v1, queue_secret="another") as service:
        code, report, _ = refresh(service, "v1", "--queue", f"{service.url}/queues/vod-events", "--lookup-after", "1s")
        equal((code, {media["confirmed_by"] for media in report["media"]}), (0, {"lookup"}))
        equal((service.actions(), bool(service.refused)), (CALLS, True))
finish()
