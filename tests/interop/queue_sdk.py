"""The vendor's queue SDK (aliyun-mns-sdk) does the whole job against the emulator's queue, beside the old Python SDK.
usage: queue_sdk.py HOST:PORT raw|base64"""
import base64
import hashlib
import json
import logging
import sys

from aliyunsdkcore.client import AcsClient
from aliyunsdkvod.request.v20170321.DescribeVodRefreshTasksRequest import DescribeVodRefreshTasksRequest
from aliyunsdkvod.request.v20170321.RefreshMediaPlayUrlsRequest import RefreshMediaPlayUrlsRequest
from mns.account import Account
from mns.mns_exception import MNSServerException
from mns.queue import Message

from checks import check, equal, eventually, finish, raises

logging.disable(logging.CRITICAL)
address, encoding = sys.argv[1:3]
host, port = address.split(":")
ODD = "a~b *+/%<&>\"'中 文"


def queue(secret="testsecret", name="vod-events"):
    found = Account(f"http://{address}", "testid", secret).get_queue(name)
    # Its own default takes bodies for Base64.
    found.set_encoding(encoding == "base64")
    return found


def say(request, **fields):
    request.set_endpoint(host)
    for name, value in fields.items():
        getattr(request, f"set_{name}")(value)
    client = AcsClient("testid", "testsecret", "cn-shanghai", port=int(port), timeout=10)
    return json.loads(client.do_action_with_exception(request))


def is_empty():
    equal(raises(MNSServerException, lambda: queue().batch_receive_message(16, 0)).type, "MessageNotExist")


def peek_all():
    try:
        return queue().batch_peek_message(16)
    except MNSServerException as empty:
        equal(empty.type, "MessageNotExist")
        return []


def submit(media):
    extend = json.dumps({"Extend": {"text": ODD}}, ensure_ascii=False)
    return say(RefreshMediaPlayUrlsRequest(), MediaIds=media, TaskType="Refresh", UserData=extend)["MediaRefreshJobId"]


with check(f"queue SDK, {encoding}: submit, event from the queue, poll to the end"):
    job = submit("r1")
    message = queue().receive_message_with_str_body(10)
    event = json.loads(message.message_body)
    equal((event["EventType"], event["MediaRefreshJobId"], event["MediaId"]), ("SubmitMediaRefreshComplete", job, "r1"))
    equal(json.loads(event["Extend"])["text"], ODD)
    queue().delete_message(message.receipt_handle)
    is_empty()

    def ended(task_id):
        rows = say(DescribeVodRefreshTasksRequest(), TaskId=task_id)["Tasks"]["Task"]
        return all(row["Status"] == "Complete" for row in rows) and rows
    for task_id in event["TaskIds"].split(","):
        eventually(lambda: ended(task_id))

with check(f"queue SDK, {encoding}: peek, receive, hide; each handle is good until the next one"):
    sent = queue().send_message(Message(ODD))
    peeked = queue().peek_message_with_str_body()
    equal((peeked.message_id, peeked.message_body, peeked.dequeue_count), (sent.message_id, ODD, 0))
    received = queue().receive_message_with_str_body(0)
    stored = base64.b64encode(ODD.encode()) if encoding == "base64" else ODD.encode()
    equal({sent.message_body_md5, received.message_body_md5}, {hashlib.md5(stored).hexdigest().upper()})
    equal((received.message_body, received.dequeue_count), (ODD, 1))
    is_empty()
    shown = queue().change_message_visibility(received.receipt_handle, 1)
    equal(int(shown.next_visible_time) > received.enqueue_time, True)
    raises(MNSServerException, lambda: queue().delete_message(received.receipt_handle))
    again = queue().receive_message(5)
    equal((again.message_id, again.dequeue_count), (received.message_id, 2))
    queue().delete_message(again.receipt_handle)
    is_empty()

with check(f"queue SDK, {encoding}: a batch of events is peeked, received and deleted, a dead handle is named"):
    media = {f"r{n}" for n in range(10, 15)}
    submit(",".join(media))
    eventually(lambda: len(peek_all()) == len(media))
    batch = queue().batch_receive_message_with_str_body(16, 5)
    equal({json.loads(message.message_body)["MediaId"] for message in batch}, media)
    dead, *alive = [message.receipt_handle for message in batch]
    queue().delete_message(dead)
    error = raises(MNSServerException, lambda: queue().batch_delete_message([dead, *alive]))
    equal([one["ReceiptHandle"] for one in error.sub_errors], [dead])
    is_empty()

with check(f"queue SDK, {encoding}: attributes and refusals come as its objects and exceptions"):
    meta = queue().get_attributes()
    equal((meta.visibility_timeout, meta.maximum_message_size, meta.logging_enabled), (30, 65536, False))
    refused = {
        "SignatureDoesNotMatch": lambda: queue(secret="wrong").receive_message(0),
        "QueueNotExist": lambda: queue(name="no-such-queue").receive_message(0),
        "ReceiptHandleError": lambda: queue().delete_message("nonsense"),
        "InvalidArgument": lambda: queue().batch_receive_message(17, 0),
    }
    for code, act in refused.items():
        equal(raises(MNSServerException, act).type, code)
finish()
