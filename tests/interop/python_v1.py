"""The vendor's old Python SDK (aliyun-python-sdk-core, signature version 1.0) against the emulator.
usage: python_v1.py HOST:PORT"""
import json
import logging
import sys

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from aliyunsdkvod.request.v20170321.DeleteMessageCallbackRequest import DeleteMessageCallbackRequest
from aliyunsdkvod.request.v20170321.DescribeVodRefreshQuotaRequest import DescribeVodRefreshQuotaRequest
from aliyunsdkvod.request.v20170321.DescribeVodRefreshTasksRequest import DescribeVodRefreshTasksRequest
from aliyunsdkvod.request.v20170321.GetMediaRefreshJobsRequest import GetMediaRefreshJobsRequest
from aliyunsdkvod.request.v20170321.GetMessageCallbackRequest import GetMessageCallbackRequest
from aliyunsdkvod.request.v20170321.PreloadVodObjectCachesRequest import PreloadVodObjectCachesRequest
from aliyunsdkvod.request.v20170321.RefreshVodObjectCachesRequest import RefreshVodObjectCachesRequest
from aliyunsdkvod.request.v20170321.RefreshMediaPlayUrlsRequest import RefreshMediaPlayUrlsRequest
from aliyunsdkvod.request.v20170321.SetMessageCallbackRequest import SetMessageCallbackRequest

from checks import check, equal, eventually, finish, raises

# The errors that are wanted here are logged as well.
logging.disable(logging.CRITICAL)
host, port = sys.argv[1].split(":")
ODD = "a~b *+/%中 文"


def client(key="testid", secret="testsecret", token=None):
    given = {"credential": StsTokenCredential(key, secret, token)} if token else {"ak": key, "secret": secret}
    return AcsClient(region_id="cn-shanghai", port=int(port), timeout=10, **given)


def say(request, by=None, **fields):
    request.set_endpoint(host)
    for name, value in fields.items():
        getattr(request, f"set_{name}")(value)
    return json.loads((by or client()).do_action_with_exception(request))


def rows(job):
    return say(GetMediaRefreshJobsRequest(), MediaRefreshJobId=job)["MediaRefreshJobs"]


def tasks(task_id):
    return say(DescribeVodRefreshTasksRequest(), TaskId=task_id)["Tasks"]["Task"]


def ended(task_ids):
    """Every row of these tasks, once none of them is under way."""
    def look():
        found = [row for task_id in task_ids for row in tasks(task_id)]
        return found if all(row["Status"] in ("Complete", "Failed") for row in found) else None
    return eventually(look)


with check("V1 Python: submit, look up, poll to the end"):
    said = say(RefreshMediaPlayUrlsRequest(), MediaIds="p1,half,gone,secret", TaskType="Refresh",
               UserData=json.dumps({"Extend": {"text": ODD}}, ensure_ascii=False))
    equal((said["NonExistMediaIds"], said["ForbiddenMediaIds"]), ("gone", "secret"))
    job = said["MediaRefreshJobId"]
    found = eventually(lambda: found if len(found := rows(job)) == 2 else None)
    equal({row["MediaId"] for row in found}, {"p1", "half"})
    equal(json.loads(found[0]["UserData"])["Extend"]["text"], ODD)
    by_media = {row["MediaId"]: ended(row["TaskIds"].split(",")) for row in found}
    equal([row["Status"] for row in by_media["p1"]], ["Complete"] * 2)
    equal(sorted(row["Status"] for row in by_media["half"]), ["Complete", "Failed"])
    equal({row["ObjectPath"] for row in by_media["p1"]},
          {url for row in found if row["MediaId"] == "p1" for url in row["SuccessPlayUrls"].split(",")})

with check("V1 Python: preload, with a number and a flag as its classes write them"):
    job = say(RefreshMediaPlayUrlsRequest(), MediaIds="p2", TaskType="Preload", SliceFlag=True, SliceCount=2,
              ResultType="Multiple", Definitions="FD,LD", Formats="mp4,m3u8")["MediaRefreshJobId"]
    found = eventually(lambda: rows(job))
    equal((found[0]["TaskType"], found[0]["Status"]), ("Preload", "success"))

with check("V1 Python: a request of no class, as POST with everything in the form"):
    request = CommonRequest(domain=host, version="2017-03-21", action_name="RefreshMediaPlayUrls", product="vod")
    request.set_protocol_type("http")
    request.set_method("POST")
    for name, value in {"MediaIds": "p3", "TaskType": "Refresh", "UserData": json.dumps({"Extend": ODD})}.items():
        request.add_body_params(name, value)
    job = json.loads(client().do_action_with_exception(request))["MediaRefreshJobId"]
    equal(json.loads(eventually(lambda: rows(job))[0]["UserData"])["Extend"], ODD)

with check("V1 Python: URLs and folders, a task id for all of one domain"):
    urls = "https://a.test/1.mp4\nhttps://a.test/%E4%B8%AD.mp4"
    task = say(RefreshVodObjectCachesRequest(), ObjectPath=urls, ObjectType="File")["RefreshTaskId"]
    equal(sorted(row["ObjectPath"] for row in tasks(task)), sorted(urls.split("\n")))
    equal(say(RefreshVodObjectCachesRequest(), ObjectPath="https://a.test/x/", ObjectType="Directory") is not None, True)
    equal(bool(say(PreloadVodObjectCachesRequest(), ObjectPath=urls)["PreloadTaskId"]), True)

with check("V1 Python: quota and event settings"):
    quota = say(DescribeVodRefreshQuotaRequest())
    equal(int(quota["UrlQuota"]) >= int(quota["UrlRemain"]) > 0, True)
    say(SetMessageCallbackRequest(), CallbackType="HTTP", CallbackURL="http://127.0.0.1:1/a?b=c",
        EventTypeList="SubmitMediaRefreshComplete", AuthSwitch="on", AuthKey="Abc123")
    settings = say(GetMessageCallbackRequest())["MessageCallback"]
    equal((settings["CallbackURL"], settings["AuthKey"]), ("http://127.0.0.1:1/a?b=c", "Abc123"))
    say(DeleteMessageCallbackRequest())
    equal("CallbackURL" in say(GetMessageCallbackRequest())["MessageCallback"], False)

with check("V1 Python: temporary keys with their token, and not without"):
    quota = DescribeVodRefreshQuotaRequest
    say(quota(), client("stsid", "stssecret", "T/1+2=="))
    error = raises(ServerException, lambda: say(quota(), client("stsid", "stssecret", "T/1+2=")))
    equal(error.get_error_code(), "InvalidSecurityToken.Malformed")

with check("V1 Python: a wrong secret is told from a wrong request"):
    # It compares the string-to-sign in the message of SignatureDoesNotMatch with its own, and says this where they agree.
    error = raises(ServerException, lambda: say(DescribeVodRefreshQuotaRequest(), client(secret="wrong")))
    equal((error.get_http_status(), error.get_error_code()), (400, "InvalidAccessKeySecret"))
    equal(bool(error.get_request_id()), True)

with check("V1 Python: refusals come as its exceptions"):
    error = raises(ServerException, lambda: say(DescribeVodRefreshQuotaRequest(), client(key="nobody")))
    equal((error.get_http_status(), error.get_error_code()), (404, "InvalidAccessKeyId.NotFound"))
    error = raises(ServerException, lambda: tasks("no-such-task"))
    equal(error.get_error_code(), "InvalidTaskId.Malformed")
    error = raises(ServerException, lambda: say(RefreshMediaPlayUrlsRequest(), MediaIds="p1", TaskType="Nonsense"))
    equal(error.get_http_status(), 400)
finish()
