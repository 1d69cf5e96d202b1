"""Is a request signed as the vendor's own signers would sign it? What they compute from what came in is compared."""
import base64
import hashlib
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

from alibabacloud_tea_openapi.utils import Utils
from aliyunsdkcore.auth.algorithm import sha_hmac1
from aliyunsdkcore.auth.composer import rpc_signature_composer as composer
from mns.mns_client import MNSClient

ACS3 = "ACS3-HMAC-SHA256"


class Refused(Exception):
    """It is not; says what differs."""


def same(what, got, wanted):
    if got != wanted:
        raise Refused(f"{what}: {got!r} came in, the vendor's signer says {wanted!r}")


def pairs(text):
    """A query or form, decoded; a name that comes twice is a fault."""
    found = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    if len(dict(found)) != len(found):
        raise Refused(f"a name comes twice in {text!r}")
    return dict(found)


def v1(request, key_id, secret, token):
    """Signature version 1.0 by aliyun-python-sdk-core; gives back the parameters."""
    params = pairs(urlsplit(request.target).query) | pairs(request.body.decode())
    signed = {name: value for name, value in params.items() if name != "Signature"}
    # Its functions of one module, which no other name leads to.
    text = getattr(composer, "__compose_string_to_sign")(request.method, signed)
    same("Signature", params.get("Signature"), getattr(composer, "__get_signature")(text, secret, sha_hmac1))
    same("AccessKeyId", params["AccessKeyId"], key_id)
    same("SecurityToken", params.get("SecurityToken"), token)
    return params["Action"], params


def v3(request, key_id, secret, token):
    """ACS3-HMAC-SHA256 by alibabacloud_tea_openapi; gives back the parameters."""
    authorization = request.headers["authorization"]
    names = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    must = {name for name in request.headers if name.startswith("x-acs-") or name in ("host", "content-type")}
    if not must <= set(names):
        raise Refused(f"{must - set(names)} are not signed")
    digest = Utils.hash(request.body, ACS3).hex()
    same("x-acs-content-sha256", request.headers["x-acs-content-sha256"], digest)
    parts = urlsplit(request.target)
    query = pairs(parts.query)
    to_sign = SimpleNamespace(method=request.method, pathname=parts.path, query=query,
                              headers={name: request.headers[name] for name in names})
    same("Authorization", authorization, Utils.get_authorization(to_sign, ACS3, digest, key_id, secret))
    same("x-acs-security-token", request.headers.get("x-acs-security-token"), token)
    return request.headers["x-acs-action"], query | pairs(request.body.decode())


def queue(request, key_id, secret, token):
    """The queue's HMAC-SHA1 by aliyun-mns-sdk: over the target as it came in, and the digest of a body."""
    client = MNSClient("http://127.0.0.1", key_id, secret, security_token=token or "")
    credential = client.credentials_provider.get_credentials()
    wanted = client.get_signature(request.method, request.headers, request.target, credential)
    same("Authorization", request.headers["authorization"], wanted)
    same("security-token", request.headers.get("security-token"), token)
    if request.body:
        # The SDK's own form: Base64 of the digest in hex.
        digest = base64.b64encode(hashlib.md5(request.body).hexdigest().encode()).decode()
        same("content-md5", request.headers["content-md5"], digest)
