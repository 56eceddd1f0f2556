"""The workers of a comparison on a Ray cluster, in place of those in workers.py: the same to call.

Each is an actor with one processor core; it gets the project and the data from here and gives back
the files of the runs that it trains, so that the nodes need nothing but Python, what
requirements.txt says, and Ray.
"""

import glob
import importlib
import os

import mnist_data
from graph_mode.command_line import CommandError
from graph_mode.comparing import comparison_folder, ray_node
from graph_mode.comparing.workers import ATTEMPTS, TICK_SECONDS

SOURCES = ("*.py", os.path.join("graph_mode", "**", "*.py"))
# Two calls at once: one that trains, and one that ends it.
CALLS_AT_ONCE = 2
GOODBYE_SECONDS = 3
# No warnings of Ray to its users, and no outcry over a call of which nobody awaits the answer.
QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_IGNORE_UNHANDLED_ERRORS": "1"}


def connect(address):
    """Joins the cluster and returns the module ray. Raises CommandError where that fails."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise CommandError(f"--ray needs Ray ({error}): pip install ray") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CommandError(
            f"found no Ray cluster at {address}: {reason:.200}; start one with: ray start --head"
        ) from None
    return ray


class Workers:
    """The actors of one comparison, each an instance of Worker, and what they say."""

    def __init__(self, ray, script, word, log_dir):
        """script: of the project, which serves runs when its one argument is `word`."""
        self.ray, self.word, self.log_dir = ray, word, log_dir
        root, self.script = os.path.split(script)
        paths = [
            path
            for pattern in SOURCES
            for path in glob.glob(os.path.join(root, pattern), recursive=True)
        ]
        self.project = ray.put({os.path.relpath(path, root): read(path) for path in paths})
        self.data = {}
        self.all = set()
        self.started = self.lost_at_start = 0
        ray.cloudpickle.register_pickle_by_value(ray_node)
        self.trainer = ray.remote(num_cpus=1, max_concurrency=CALLS_AT_ONCE)(ray_node.Trainer)

    def cores(self):
        """How many actors fit into the cluster."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    def start(self):
        actor = self.trainer.remote(self.project, self.script, self.word)
        self.all.add(Worker(self, actor, self.started))
        self.started += 1

    def at_work(self):
        """The runs that are being trained."""
        return [worker.run for worker in self.all if worker.run]

    def answers(self):
        """Waits a second at most; yields (worker, its run or None, its answer, None if it died)."""
        waiting = {worker.reply: worker for worker in self.all}
        for reply in self.ray.wait(list(waiting), timeout=TICK_SECONDS)[0]:
            worker = waiting[reply]
            run, answer = worker.answer()
            if answer is None and not worker.ready and worker.lost:
                # Its node has gone before it began: that is no word against the others.
                self.lost_at_start += 1
                if self.lost_at_start < ATTEMPTS:
                    self.end(worker)
                    self.start()
                    continue
            yield worker, run, answer

    def data_of(self, data_dir):
        """The four files of a data set in Ray's store, {name: bytes}."""
        if data_dir not in self.data:
            files = {os.path.basename(path): read(path) for path in mnist_data.find_files(data_dir)}
            self.data[data_dir] = self.ray.put(files)
        return self.data[data_dir]

    def end(self, *ended):
        goodbyes = [worker.actor.end.remote() for worker in ended]
        # Those that wait for a place in the cluster never answer.
        self.ray.wait(goodbyes, num_returns=len(goodbyes), timeout=GOODBYE_SECONDS)
        for worker in ended:
            self.all.remove(worker)
            self.ray.kill(worker.actor)

    def end_all(self):
        if self.all:
            self.end(*self.all)
        self.ray.shutdown()


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Worker:
    """An actor, the run that it trains (None: it waits), and the folder for what comes back."""

    def __init__(self, workers, actor, number):
        self.workers, self.actor = workers, actor
        self.folder = comparison_folder.unfinished_folder(workers.log_dir, number)
        self.run = None
        self.ready = self.lost = False
        self.trained = 0
        self.death = ""
        self.reply = actor.answer.remote()

    def train(self, run):
        self.run = run
        data_dir = run.settings["flags"]["data_dir"]
        data = self.workers.data_of(data_dir)
        self.reply = self.actor.train.remote(run.network, run.arguments, run.name, data_dir, data)

    def answer(self):
        """(run or None, answer): a dictionary, the first when it is ready; None if it has died."""
        run, self.run = self.run, None
        try:
            answer = self.workers.ray.get(self.reply)
        except self.workers.ray.exceptions.RayError as error:
            self.lost = True
            self.death = f"its node or its process on the cluster ended ({type(error).__name__})"
            return run, None
        ray_node.write_tree(self.folder, answer.pop("files", {}))
        if run:
            self.name_own_data(run)
        if "died" in answer:
            self.death = answer["died"]
            return run, None
        self.ready = True
        self.trained += run is not None
        return run, answer

    def name_own_data(self, run):
        """The run's settings tell where the data lies here, not where they lay on the node."""
        path = os.path.join(self.folder, run.network, run.name, comparison_folder.SETTINGS)
        settings = comparison_folder.read_json(path)
        if settings:
            settings["flags"]["data_dir"] = run.settings["flags"]["data_dir"]
            comparison_folder.write_json(path, settings)

    def why_it_died(self):
        return self.death
