"""Watches for the cloud's word that this spot machine will go, and tells the edge. Only the standard library of Ubuntu 24.04's python3.

Sources: AWS instance metadata ``spot/instance-action`` and ``events/recommendations/rebalance`` (IMDSv2), Azure Scheduled Events ``Preempt``,
GCP ``instance/preempted``. Each notice is posted once to the incidents' address as ``{placement, kind, deadline, detail}``.
"""

import email.utils
import http.client
import json
import os
import signal
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

SETTINGS = "/etc/spotlane/machine.json"
GCP_NOTICE_SECONDS = 30
"""Compute Engine's notice before it stops a spot VM."""
METADATA_SECONDS = 5.0
"""Timeout of one metadata request."""

Answer = tuple[int, bytes, dict[str, str]]


class Notice(NamedTuple):
    """What the cloud said. ``key`` is the same each time the same notice is read; ``deadline`` is RFC 3339 in UTC, or None."""

    key: str
    kind: str
    deadline: str | None
    detail: str


def request(method: str, address: str, headers: dict[str, str], body: bytes | None = None, timeout: float = METADATA_SECONDS) -> Answer:
    """One HTTP exchange, past every proxy: status, body, headers in lower case. Names under .localhost are the loopback's own (RFC 6761, section 6.3)."""
    url = urllib.parse.urlsplit(address)
    host = url.hostname or ""
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind("127.0.0.1" if host.endswith(".localhost") else host, url.port, timeout=timeout)
    try:
        connection.request(method, (url.path or "/") + ("?" + url.query if url.query else ""), body, {"Host": url.netloc, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def post(address: str, token: str, who: str, body: bytes) -> Answer:
    """Tells the edge a JSON document, by the placement's token."""
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json", "User-Agent": who}
    return request("POST", address, headers, body, timeout=10.0)


def keep(path: str, value: Any) -> None:
    """``value`` as JSON in ``path``, whole or not at all."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


def rfc3339(moment: datetime) -> str:
    """In UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Aws:
    """EC2: two minutes' notice, and before it, where AWS sees it come, a rebalance recommendation."""

    every_seconds = 2.0

    def __init__(self) -> None:
        self.base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
        self.token = ""

    def get(self, path: str) -> bytes | None:
        """The value at ``path``, None where there is none; a session token that ran out is asked for again."""
        for _ in range(2):
            if not self.token:
                status, body, _ = request("PUT", self.base + "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"})
                if status != 200:
                    raise OSError(f"metadata token: answered {status}")
                self.token = body.decode()
            status, body, _ = request("GET", self.base + "/latest/meta-data/" + path, {"X-aws-ec2-metadata-token": self.token})
            if status != 401:
                return body if status == 200 else None
            self.token = ""
        return None

    def notices(self) -> list[Notice]:
        """Those in force."""
        found = []
        if body := self.get("spot/instance-action"):
            action = json.loads(body)
            found.append(Notice("interruption " + action["time"], "interruption", action["time"], "AWS will {} the instance".format(action["action"])))
        if body := self.get("events/recommendations/rebalance"):
            noticed = json.loads(body)["noticeTime"]
            found.append(Notice("rebalance " + noticed, "rebalance", None, "AWS sees an elevated risk of interruption since " + noticed))
        return found


class Azure:
    """Azure: at least thirty seconds' notice, as a Scheduled Event of type Preempt."""

    every_seconds = 1.0

    def __init__(self) -> None:
        base = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254").rstrip("/")
        self.address = base + "/metadata/scheduledevents?api-version=2020-07-01"

    def notices(self) -> list[Notice]:
        """Those in force. ``NotBefore`` is empty once the event has begun: then the deadline is now."""
        status, body, _ = request("GET", self.address, {"Metadata": "true"}, timeout=150.0)  # its first answer may take two minutes
        if status != 200:
            raise OSError(f"scheduled events: answered {status}")
        found = []
        for event in json.loads(body).get("Events", []):
            if event["EventType"] == "Preempt":
                when = email.utils.parsedate_to_datetime(event["NotBefore"]) if event.get("NotBefore") else datetime.now(UTC)
                found.append(Notice(event["EventId"], "interruption", rfc3339(when), "Azure will evict the machine: " + event.get("Description", "")))
        return found


class Gcp:
    """Compute Engine: thirty seconds' notice, told at once to a request that waits for the change."""

    every_seconds = 0.0

    def __init__(self) -> None:
        self.base = "http://" + os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
        self.etag = "0"
        self.preempted: Notice | None = None

    def notices(self) -> list[Notice]:
        """Those in force; waits for a change for up to a minute."""
        query = "?wait_for_change=true&timeout_sec=60&last_etag=" + self.etag
        address = self.base + "/computeMetadata/v1/instance/preempted" + query
        status, body, headers = request("GET", address, {"Metadata-Flavor": "Google"}, timeout=70.0)
        if status != 200:
            raise OSError(f"metadata: answered {status}")
        self.etag = headers.get("etag", "0")
        if self.preempted is None and body.strip() == b"TRUE":
            deadline = rfc3339(datetime.now(UTC) + timedelta(seconds=GCP_NOTICE_SECONDS))
            self.preempted = Notice("preempted", "interruption", deadline, "GCP preempts the instance")
        if self.preempted:
            time.sleep(5.0)  # nothing more will change
            return [self.preempted]
        return []


Cloud = Aws | Azure | Gcp
CLOUDS: dict[str, type[Cloud]] = {"aws": Aws, "azure": Azure, "gcp": Gcp}


class Reports:
    """Posts notices; remembers across restarts which of them arrived."""

    def __init__(self, settings: dict[str, Any], directory: str) -> None:
        self.settings = settings
        self.path = os.path.join(directory, "reported.json")
        try:
            with open(self.path, encoding="utf-8") as file:
                self.reported: list[str] = json.load(file)
        except (OSError, ValueError):
            self.reported = []

    def post(self, notice: Notice) -> bool:
        """Posts ``notice`` unless it was; whether the edge has it. 4xx is final: the edge has judged it."""
        if notice.key in self.reported:
            return True
        document = {"placement": self.settings["placement"], "kind": notice.kind, "deadline": notice.deadline, "detail": notice.detail}
        try:
            status, body, _ = post(self.settings["incidentUrl"], self.settings["placementToken"], "spotlane-agent", json.dumps(document).encode())
        except (OSError, http.client.HTTPException) as error:
            say(f"{notice.key} not delivered: {error}")
            return False
        if status >= 500 or status in (408, 425, 429):
            say(f"{notice.key} not delivered: answered {status}")
            return False
        verdict = "" if status < 300 else " " + body[:200].decode(errors="replace")
        say(f"{notice.key}: {notice.detail} (answered {status}{verdict})")
        self.reported.append(notice.key)
        keep(self.path, self.reported)
        return True


def say(text: str) -> None:
    """One line in the journal."""
    print("spotlane-agent: " + text, flush=True)


def watch(cloud: Cloud, reports: Reports) -> None:
    """Reads and reports until stopped. A metadata service that fails is asked again, less and less often up to ten seconds."""
    wait = 0.5
    while True:
        try:
            delivered = [reports.post(notice) for notice in cloud.notices()]
            pause, wait = (cloud.every_seconds, 0.5) if all(delivered) else (0.5, wait)
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            say(f"metadata: {error}")
            pause, wait = wait, min(wait * 2, 10.0)
        time.sleep(pause)


def stop(number: int, frame: object) -> None:
    """SIGTERM: the machine goes down."""
    raise SystemExit(0)


def main() -> None:
    """Runs until SIGTERM."""
    signal.signal(signal.SIGTERM, stop)
    with open(SETTINGS, encoding="utf-8") as file:
        settings = json.load(file)
    watch(CLOUDS[settings["cloud"]](), Reports(settings, os.environ.get("STATE_DIRECTORY", "/var/lib/spotlane-agent")))


if __name__ == "__main__":
    main()
