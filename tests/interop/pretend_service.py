"""A service with its queue that takes only what the vendor's signers would have signed, and finds every media."""
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import verifier
from pretend_queue import PretendQueue, error

JOB = "c5ae61bf0001"
URL_TASK = "9001"


class PretendService:
    """Serves on loopback until its end. `verify` is the check of calls; queues have `queue_secret` where that differs."""

    def __init__(self, verify, secret="testsecret", token=None, queue_secret=None, encoded=False):
        self.verify, self.keys = verify, ("testid", secret, token)
        self.queue_keys = ("testid", queue_secret or secret, token)
        self.urls = []
        self.calls, self.refused, self.rows, self.queue = [], [], [], PretendQueue(encoded)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"service": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def actions(self):
        """What was asked for, each once."""
        return {action for action, _ in self.calls}

    def answer(self, request):
        """Status, content type and body."""
        is_queue = request.target.startswith("/queues/")
        try:
            if is_queue:
                verifier.queue(request, *self.queue_keys)
                action, params = self.queue.action(request), {}
            else:
                action, params = self.verify(request, *self.keys)
        except (verifier.Refused, KeyError, ValueError, IndexError) as why:
            self.refused.append(f"{request.method} {request.target}: {type(why).__name__}: {why}")
            message = json.dumps({"Code": "SignatureDoesNotMatch", "Message": "no", "RequestId": "R1"})
            return error(403, "SignatureDoesNotMatch") if is_queue else (400, "application/json", message)
        self.calls.append((action, params))
        return self.queue.answer(action, request) if is_queue else self.service(action, params)

    def service(self, action, params):
        status, body = 200, {"RequestId": "R1"}
        if action == "RefreshMediaPlayUrls":
            self.rows = [row(media) for media in params["MediaIds"].split(",")]
            self.queue.put([event(one, params) for one in self.rows])
            body |= {"MediaRefreshJobId": JOB, "NonExistMediaIds": "", "ForbiddenMediaIds": ""}
        elif action in ("RefreshVodObjectCaches", "PreloadVodObjectCaches"):
            self.urls = params["ObjectPath"].split("\n")
            body["RefreshTaskId" if action.startswith("Refresh") else "PreloadTaskId"] = URL_TASK
        elif action == "GetMediaRefreshJobs":
            body |= {"MediaRefreshJobs": self.rows}
        elif action == "DescribeVodRefreshTasks":
            tasks = [task(one) for one in self.rows if params.get("TaskId") in (None, one["TaskIds"])]
            if params.get("TaskId") == URL_TASK:
                tasks = [task({"TaskIds": URL_TASK, "SuccessPlayUrls": url}) for url in self.urls]
            body |= {"PageNumber": 1, "PageSize": 50, "TotalCount": len(tasks), "Tasks": {"Task": tasks}}
        else:
            status, body["Code"], body["Message"] = 404, "InvalidAction.NotFound", action
        return status, "application/json", json.dumps(body)


class Handler(BaseHTTPRequestHandler):
    """Every method, over connections that are kept."""
    protocol_version, timeout, service = "HTTP/1.1", 60, None

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = SimpleNamespace(method=self.command, target=self.path, headers=headers, body=body)
        status, kind, text = self.service.answer(request)
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("x-mns-request-id", "R1")
        if status != 204:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def log_message(self, *_):
        pass


def row(media):
    return {"MediaRefreshJobId": JOB, "MediaId": media, "TaskType": "Refresh", "Status": "success",
            "SuccessPlayUrls": f"http://play.example.test/{media}.mp4", "TaskIds": f"1460435{media}"}


def event(one, params):
    extend = json.dumps(json.loads(params["UserData"])["Extend"])
    return one | {"EventType": "SubmitMediaRefreshComplete", "EventTime": "2026-01-15T08:30:00Z", "Extend": extend}


def task(one):
    return {"TaskId": one["TaskIds"], "ObjectPath": one["SuccessPlayUrls"], "ObjectType": "file", "Status": "Complete",
            "Process": "100%", "CreationTime": "2026-01-15T08:30:00Z", "Description": ""}
