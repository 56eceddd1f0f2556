"""Downloads by mnist_data from a real server on this machine that does what servers do wrong."""

import contextlib
import gzip
import http.server
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from idx_files import NAMES, ROOT, idx_bytes, image_set, write_set
from record_original_batches import MNIST

import mnist_data
from mnist_data import DataError

LABELS = "t10k-labels-idx1-ubyte.gz"
FILES = [name + ".gz" for name in NAMES]


def content_of(name, folder=MNIST):
    return pathlib.Path(folder, name).read_bytes()


ZEROS = gzip.compress(idx_bytes(np.zeros(10000, np.uint8)))


def sized(content, body=None):
    """Announces the size of the content, and sends the body if that is given."""
    return ("Content-Length", str(len(content))), content if body is None else body


CHUNKED = ("Transfer-Encoding", "chunked")
# What a server answers when it is asked for a file of this content: one header, body.
ANSWERS = {
    "right": sized,
    "without size": lambda content: (("Connection", "close"), content),
    "in chunks": lambda content: (CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)),
    "cut off": lambda content: sized(content, content[:2000]),
    "cut off chunks": lambda content: (CHUNKED, b"20\r\nabc"),
    "stalled": lambda content: sized(content, content[:2000]),  # The server waits after that.
    "a web page": lambda content: sized(b"<html>Sign in</html>"),
    "damaged": lambda content: sized(content[:100] + bytes([content[100] ^ 1]) + content[101:]),
    "another set": lambda content: sized(ZEROS),
    "no such file": lambda content: sized(b""),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the server's `answers`, one a request, and properly after that."""

    def do_GET(self):  # noqa: N802
        self.server.requests.append(self.path)
        answer = self.server.answers.pop(0) if self.server.answers else "right"
        header, body = ANSWERS[answer](content_of(os.path.basename(self.path), self.server.folder))
        self.send_response(200 if body else 404)
        self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)
        if answer == "stalled":
            self.server.over.wait(30)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def start_server():
    with contextlib.ExitStack() as stack:

        def start(*answers, folder=MNIST):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.answers, server.folder, server.requests = list(answers), folder, []
            server.over = threading.Event()
            server.url = f"http://127.0.0.1:{server.server_address[1]}/mnist/"
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            for close in (server.server_close, server.shutdown, server.over.set):
                stack.callback(close)
            return server

        yield start


@pytest.fixture(autouse=True)
def use_mirrors(monkeypatch):
    monkeypatch.setattr(mnist_data, "TIMEOUT", 0.5)
    monkeypatch.setattr(mnist_data, "OWN", "")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return lambda *urls: monkeypatch.setattr(mnist_data, "MIRRORS", urls)


def closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def test_missing_mnist_is_downloaded_and_only_what_is_missing(tmp_path, start_server, use_mirrors):
    server = start_server()
    use_mirrors(server.url)
    folder = tmp_path / "a" / "new" / "folder"
    for missing in (FILES, [LABELS], []):
        assert mnist_data.read_data_sets(folder, source_url=server.url).train.num_examples == 55000
        assert mnist_data.checksums(folder) == mnist_data.checksums(MNIST)
        assert server.requests == ["/mnist/" + name for name in missing]
        server.requests.clear()
        if missing == FILES:
            (folder / LABELS).unlink()
    path = mnist_data.maybe_download(LABELS, str(folder), server.url + LABELS)
    assert (path, server.requests) == (str(folder / LABELS), [])


def test_another_set_comes_from_its_own_address(tmp_path, start_server, use_mirrors, monkeypatch):
    mirror = start_server()
    use_mirrors(mirror.url)
    arrays = image_set(rows=32, columns=20, classes=26)
    server = start_server(folder=write_set(tmp_path / "served", arrays))
    data = mnist_data.read_data_sets(tmp_path / "new", source_url=server.url, validation_size=0)
    np.testing.assert_array_equal(data.train.labels, arrays[1])
    for answer, message in (("damaged", "found there: cannot"), ("without size", "more than 1000")):
        with pytest.raises(DataError, match=message):
            address = start_server(answer).url + LABELS
            mnist_data.maybe_download(LABELS, str(tmp_path / "none"), address)
        monkeypatch.setattr(mnist_data, "LARGEST_DOWNLOAD", 1000)
    assert mirror.requests == [] and not (tmp_path / "none").exists()


def assert_downloaded(address, folder):
    path = mnist_data.maybe_download(LABELS, str(folder), address + LABELS)
    assert path == str(folder / LABELS)
    assert content_of(LABELS, str(folder)) == content_of(LABELS)
    assert os.listdir(str(folder)) == [LABELS]


def test_every_good_answer_of_a_mirror_is_taken(tmp_path, start_server, use_mirrors, monkeypatch):
    server = start_server("without size", "in chunks")
    use_mirrors(server.url)
    monkeypatch.setattr(mnist_data, "FORMER_ADDRESS", closed_port())
    for number, address in enumerate((server.url, server.url, mnist_data.FORMER_ADDRESS)):
        assert_downloaded(address, tmp_path / str(number))


TOLD = {
    "cut off": "2542 bytes are missing",
    "cut off chunks": "IncompleteRead",
    "stalled": "timed out",
    "a web page": "found there: begins with b'<html>",
    "damaged": "found there: cannot be read (damaged gzip data",
    "another set": "found another file, expected that of MNIST",
    "no such file": "HTTP Error 404",
}


@pytest.mark.parametrize("answer", TOLD)
def test_a_mirror_stands_in_or_a_line_says_why(answer, tmp_path, start_server, use_mirrors):
    first, second = start_server(answer, answer), start_server()
    use_mirrors(first.url, second.url)
    assert_downloaded(first.url, tmp_path / "new")
    assert len(second.requests) == 1
    use_mirrors(first.url)
    with pytest.raises(DataError) as raised:
        mnist_data.maybe_download(LABELS, str(tmp_path / "none"), first.url + LABELS)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(str(tmp_path / "none" / LABELS) + ": no such file")
    assert f"{first.url}{LABELS}: {TOLD[answer]}" in line.replace("cut off, ", "")
    assert os.listdir(str(tmp_path)) == ["new"]


def test_a_folder_without_mnist_is_read_from_the_project_s(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(mnist_data, "OWN", MNIST)
    data = mnist_data.read_data_sets(tmp_path / "new")
    assert (data.train.num_examples, os.listdir(str(tmp_path))) == (55000, [])
    assert f"new: no MNIST there, it is read from {MNIST}" in capfd.readouterr().err


def test_offline_is_told_in_one_line(tmp_path, use_mirrors):
    use_mirrors(closed_port(), closed_port())
    for address, message in ((mnist_data.MIRRORS[0], "refused.*refused"), ("a/", "unknown url")):
        with pytest.raises(DataError, match=f"{message}.*; connect to the network, or copy"):
            mnist_data.read_data_sets(tmp_path / "new", source_url=address)
    assert os.listdir(str(tmp_path)) == []


CODE = """
import sys, mnist_data
mnist_data.MIRRORS = (sys.argv[1],)
sys.exit(mnist_data.main(["--download", sys.argv[2]]))
"""


def largest_file_of_1_mb():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@pytest.mark.parametrize("killed", [True, False])
def test_a_kill_or_a_full_disk_leaves_no_half_file(killed, tmp_path, start_server):
    # The signal of the first byte beyond the limit kills it, where Python does not ignore that.
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)" if killed else ""
    command = [sys.executable, "-c", code + CODE, start_server().url, str(tmp_path)]
    options = {"cwd": ROOT, "preexec_fn": largest_file_of_1_mb, "timeout": 60, "text": True}
    process = subprocess.run(command, capture_output=True, **options)
    assert process.returncode == (-signal.SIGXFSZ if killed else 2)
    assert ("ubyte.gz: cannot be written (File too large)" in process.stderr) != killed
    assert [name for name in os.listdir(str(tmp_path)) if name in FILES or not killed] == []
