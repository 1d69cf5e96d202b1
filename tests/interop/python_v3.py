"""The vendor's new Python SDK (alibabacloud_vod20170321, ACS3-HMAC-SHA256) against the emulator: what its script of
the whole job, sdk_script.py, leaves out. usage: python_v3.py HOST:PORT"""
import json
import sys

from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from alibabacloud_vod20170321 import models as m
from alibabacloud_vod20170321.client import Client

from checks import check, equal, eventually, finish, raises

ODD = "a~b *+/%中 文"


def client(key="testid", secret="testsecret", token=None):
    return Client(Config(access_key_id=key, access_key_secret=secret, security_token=token, endpoint=sys.argv[1],
                         protocol="http", region_id="cn-shanghai", read_timeout=10_000, connect_timeout=5_000))


with check("V3 Python: odd characters come back, media not found and forbidden are named"):
    said = client().refresh_media_play_urls(m.RefreshMediaPlayUrlsRequest(
        media_ids="q1,gone,secret", task_type="Refresh", user_data=json.dumps({"Extend": ODD}, ensure_ascii=False))).body
    equal((said.non_exist_media_ids, said.forbidden_media_ids), ("gone", "secret"))
    request = m.GetMediaRefreshJobsRequest(media_refresh_job_id=said.media_refresh_job_id)
    found = eventually(lambda: client().get_media_refresh_jobs(request).body.media_refresh_jobs)
    equal(json.loads(found[0].user_data)["Extend"], ODD)

with check("V3 Python: URLs and folders"):
    urls = "https://a.test/1.mp4\nhttps://b.test/2.mp4"
    said = client().refresh_vod_object_caches(m.RefreshVodObjectCachesRequest(
        object_path=urls, object_type="File", force=True)).body
    equal(len(said.refresh_task_id.split(",")), 2)
    said = client().preload_vod_object_caches(m.PreloadVodObjectCachesRequest(object_path=urls, area="domestic")).body
    equal(len(said.preload_task_id.split(",")), 2)

with check("V3 Python: temporary keys with their token, and not without"):
    request = m.DescribeVodRefreshQuotaRequest()
    client("stsid", "stssecret", "T/1+2==").describe_vod_refresh_quota(request)
    error = raises(ClientException, lambda: client("stsid", "stssecret", "T/1+2=").describe_vod_refresh_quota(request))
    equal(error.code, "InvalidSecurityToken.Malformed")

with check("V3 Python: a wrong secret is SignatureDoesNotMatch"):
    error = raises(ClientException, lambda: client(secret="wrong").describe_vod_refresh_quota(request))
    equal((error.status_code, error.code), (400, "SignatureDoesNotMatch"))
finish()
