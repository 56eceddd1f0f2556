"""Downloads by mnist_data from a real server on this machine that does what servers do wrong."""

import gzip
import hashlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from idx_files import NAMES, idx_bytes, image_set, write_set

import mnist_data
from mnist_data import DataError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MNIST = os.path.join(ROOT, "MNIST_data")
LABELS = "t10k-labels-idx1-ubyte.gz"
FILES = [name + ".gz" for name in NAMES]


def content_of(name, folder=MNIST):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what the server's `faults` say, one a request, and properly after that."""

    def do_GET(self):  # noqa: N802
        self.server.requests.append(self.path)
        content = content_of(os.path.basename(self.path), self.server.folder)
        fault = self.server.faults.pop(0) if self.server.faults else serve
        fault(self, content)

    def answer(self, status, length, headers=()):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for header in headers:
            self.send_header(*header)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def serve(handler, content):
    handler.answer(200, len(content))
    handler.wfile.write(content)


def without_length(handler, content):
    handler.answer(200, None)
    handler.wfile.write(content)


def in_chunks(handler, content):
    handler.protocol_version = "HTTP/1.1"
    handler.answer(200, None, [("Transfer-Encoding", "chunked"), ("Connection", "close")])
    for start in range(0, len(content), 1000):
        part = content[start : start + 1000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
    handler.wfile.write(b"0\r\n\r\n")
    handler.close_connection = True


def cut(handler, content):
    handler.answer(200, len(content))
    handler.wfile.write(content[:2000])


def cut_in_chunks(handler, content):
    handler.protocol_version = "HTTP/1.1"
    handler.answer(200, None, [("Transfer-Encoding", "chunked"), ("Connection", "close")])
    handler.wfile.write(b"%x\r\n%s" % (len(content), content[:2000]))
    handler.close_connection = True


def stall(handler, content):
    handler.answer(200, len(content))
    handler.wfile.write(content[:2000])
    handler.wfile.flush()
    handler.server.stalled.set()
    handler.server.over.wait(30)


def silence(handler, content):
    handler.server.over.wait(30)


def hang_up(handler, content):
    handler.connection.shutdown(socket.SHUT_RDWR)


def promise_more(handler, content):
    handler.answer(200, len(content) + 100)
    handler.wfile.write(content)


def promise_less(handler, content):
    handler.answer(200, len(content) - 100)
    handler.wfile.write(content)


def web_page(handler, content):
    handler.answer(200, 20)
    handler.wfile.write(b"<html>Sign in</html>")


def damaged(handler, content):
    serve(handler, content[:100] + bytes([content[100] ^ 1]) + content[101:])


def another_set(handler, content):
    labels = np.zeros(10000, np.uint8)
    serve(handler, gzip.compress(idx_bytes(labels)))


def redirect(handler, content):
    handler.answer(302, 0, [("Location", "/elsewhere" + handler.path)])


def redirect_for_ever(handler, content):
    handler.server.faults.insert(0, redirect_for_ever)
    handler.answer(302, 0, [("Location", handler.path)])


def status(code):
    def answer(handler, content):
        handler.answer(code, 0)

    answer.__name__ = f"status_{code}"
    return answer


@pytest.fixture
def start_server():
    servers = []

    def start(*faults, folder=MNIST):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.faults, server.folder, server.requests = list(faults), folder, []
        server.stalled, server.over = threading.Event(), threading.Event()
        server.url = f"http://127.0.0.1:{server.server_address[1]}/mnist/"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(mnist_data, "TIMEOUT", 1.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def use_mirrors(monkeypatch):
    return lambda *urls: monkeypatch.setattr(mnist_data, "MIRRORS", urls)


def closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def get_labels(server, folder):
    path = mnist_data.maybe_download(LABELS, str(folder), server.url + LABELS)
    assert path == os.path.join(str(folder), LABELS)
    assert content_of(LABELS, str(folder)) == content_of(LABELS)
    assert os.listdir(str(folder)) == [LABELS]


def test_missing_mnist_is_downloaded_and_read(tmp_path, start_server, use_mirrors):
    server = start_server()
    use_mirrors(server.url)
    folder = tmp_path / "a" / "new" / "folder"
    data = mnist_data.read_data_sets(folder, source_url=server.url)
    assert data.train.num_examples == 55000
    assert mnist_data.checksums(folder) == mnist_data.checksums(MNIST)
    assert server.requests == ["/mnist/" + name for name in FILES]


def test_the_network_is_not_touched_when_the_files_are_there(start_server, use_mirrors):
    server = start_server()
    use_mirrors(server.url)
    mnist_data.read_data_sets(MNIST, source_url=server.url)
    assert mnist_data.maybe_download(LABELS, MNIST, server.url) == os.path.join(MNIST, LABELS)
    assert server.requests == []


def test_only_missing_files_are_downloaded(tmp_path, start_server, use_mirrors):
    server = start_server()
    use_mirrors(server.url)
    for name in set(FILES) - {LABELS}:
        os.symlink(os.path.join(MNIST, name), str(tmp_path / name))
    mnist_data.find_files(tmp_path, server.url, download=True)
    assert server.requests == ["/mnist/" + LABELS]


def test_another_set_comes_from_its_own_address_alone(tmp_path, start_server, use_mirrors):
    mirror = start_server()
    use_mirrors(mirror.url)
    arrays = image_set(rows=32, columns=20, classes=26)
    server = start_server(folder=write_set(tmp_path / "served", arrays))
    data = mnist_data.read_data_sets(tmp_path / "new", source_url=server.url, validation_size=0)
    np.testing.assert_array_equal(data.train.labels, arrays[1])
    assert mirror.requests == []


@pytest.mark.parametrize("answer", [serve, without_length, in_chunks, redirect])
def test_every_good_answer_is_taken(answer, tmp_path, start_server, use_mirrors):
    server = start_server(answer)
    use_mirrors(server.url)
    get_labels(server, tmp_path / "new")


BAD_ANSWERS = [
    (cut, "cut off, 2542 bytes are missing"),
    (promise_more, "cut off, 100 bytes are missing"),
    (cut_in_chunks, "IncompleteRead"),
    (stall, "timed out"),
    (silence, "timed out"),
    (hang_up, "Remote end closed connection without response"),
    (promise_less, "found there: cut off, the gzip data does not end"),
    (web_page, "found there: a web page (HTML), expected IDX labels"),
    (damaged, "found there: damaged gzip data"),
    (another_set, "found another file, expected that of MNIST"),
    (redirect_for_ever, "HTTP Error 302"),
    (status(403), "HTTP Error 403: Forbidden"),
    (status(404), "HTTP Error 404: Not Found"),
    (status(503), "HTTP Error 503: Service Unavailable"),
]


@pytest.mark.parametrize(
    "fault, message", BAD_ANSWERS, ids=[fault.__name__ for fault, _ in BAD_ANSWERS]
)
def test_a_mirror_stands_in_and_without_one_a_line_says_why(
    fault, message, tmp_path, start_server, use_mirrors
):
    first, second = start_server(fault, fault), start_server()
    use_mirrors(first.url, second.url)
    get_labels(first, tmp_path / "new")
    assert len(second.requests) == 1
    use_mirrors(first.url)
    with pytest.raises(DataError) as raised:
        mnist_data.maybe_download(LABELS, str(tmp_path / "none"), first.url + LABELS)
    assert f"{first.url}{LABELS}: {message}" in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "none" / LABELS) + ": no such file")
    assert len(str(raised.value).splitlines()) == 1
    assert os.listdir(str(tmp_path)) == ["new"]


def test_the_former_address_leads_to_the_mirrors(tmp_path, start_server, use_mirrors, monkeypatch):
    server = start_server()
    use_mirrors(server.url)
    monkeypatch.setattr(mnist_data, "FORMER_ADDRESS", closed_port())
    mnist_data.maybe_download(LABELS, str(tmp_path), mnist_data.FORMER_ADDRESS + LABELS)
    assert content_of(LABELS, str(tmp_path)) == content_of(LABELS)


def test_what_another_address_has_must_be_idx(tmp_path, start_server, use_mirrors):
    use_mirrors()
    server = start_server(damaged)
    with pytest.raises(DataError, match="found there: damaged gzip data"):
        mnist_data.maybe_download(LABELS, str(tmp_path / "new"), server.url + LABELS)
    assert os.listdir(str(tmp_path)) == []


def test_offline_is_told_in_one_line(tmp_path, use_mirrors):
    use_mirrors(closed_port(), closed_port())
    with pytest.raises(DataError, match="refused.*refused.*; connect to the network, or copy"):
        mnist_data.read_data_sets(tmp_path / "new", source_url=mnist_data.MIRRORS[0])
    assert os.listdir(str(tmp_path)) == []


def test_an_address_that_is_none_is_reported(tmp_path):
    with pytest.raises(DataError, match="unknown url type"):
        mnist_data.read_data_sets(tmp_path / "new", source_url="mirror/")


def test_downloads_stop_at_a_largest_size(tmp_path, start_server, use_mirrors, monkeypatch):
    monkeypatch.setattr(mnist_data, "LARGEST_DOWNLOAD", 1000)
    use_mirrors()
    server = start_server(without_length)
    with pytest.raises(DataError, match="more than 1000 bytes"):
        mnist_data.maybe_download(LABELS, str(tmp_path), server.url + LABELS)


# Processes

CODE = """
import sys, mnist_data
mnist_data.MIRRORS = (sys.argv[1],)
mnist_data.find_files(sys.argv[2], sys.argv[1], download=True)
"""


def start_process(server, folder, code=CODE, **options):
    command = [sys.executable, "-c", code, server.url, str(folder)]
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, **options)


def test_several_processes_may_download_at_once(tmp_path, start_server):
    servers = [start_server() for _ in range(4)]
    folder = tmp_path / "new"
    processes = [start_process(server, folder) for server in servers]
    assert [process.communicate(timeout=60) for process in processes] == [(b"", b"")] * 4
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(os.listdir(str(folder))) == sorted(FILES)
    assert mnist_data.checksums(folder) == mnist_data.checksums(MNIST)


def test_a_process_killed_while_it_downloads_leaves_nothing(tmp_path, start_server):
    server = start_server(stall)
    process = start_process(server, tmp_path / "new")
    assert server.stalled.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert os.listdir(str(tmp_path)) == []


def test_a_process_killed_at_any_instant_leaves_no_half_file(tmp_path, start_server, use_mirrors):
    server = start_server()
    complete = mnist_data.checksums(MNIST)
    random = np.random.RandomState(0)
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        before = len(server.requests)
        process = start_process(server, folder)
        while len(server.requests) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        process.communicate(timeout=30)
        named = [name for name in FILES if (folder / name).exists()]
        for name in named:
            assert hashlib.sha256(content_of(name, str(folder))).hexdigest() == complete[name]
    use_mirrors(server.url)
    mnist_data.find_files(folder, server.url, download=True)
    assert mnist_data.checksums(folder) == complete


def largest_file_of_1_mb():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def test_a_process_killed_while_it_writes_leaves_no_half_file(tmp_path, start_server):
    # The signal that kills it comes with the first byte beyond the limit, in the midst of a file.
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)" + CODE
    process = start_process(start_server(), tmp_path, code, preexec_fn=largest_file_of_1_mb)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGXFSZ
    assert [name for name in os.listdir(str(tmp_path)) if name in FILES] == []


def test_a_disk_that_is_full_is_reported_and_no_half_file_left(tmp_path, start_server):
    folder = tmp_path / "new"
    process = start_process(start_server(), folder, preexec_fn=largest_file_of_1_mb)
    error = process.communicate(timeout=60)[1].decode().splitlines()[-1]
    assert "train-images-idx3-ubyte.gz: cannot be written (File too large)" in error
    assert [name for _, _, names in os.walk(str(tmp_path)) for name in names] == []


def test_the_command_downloads_and_checks(tmp_path, start_server):
    code = "import sys, mnist_data; mnist_data.MIRRORS = (sys.argv.pop(),); mnist_data.main()"
    command = [sys.executable, "-c", code, "--download", str(tmp_path), start_server().url]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().endswith(f"{tmp_path}: the canonical MNIST\n")
