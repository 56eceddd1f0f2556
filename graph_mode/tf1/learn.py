"""Stands for tf.contrib.learn: its data sets, and words as numbers. It has no estimators."""

import collections
import functools
import pickle
import re
import types

import numpy as np

from graph_mode.tf1 import input_data

WORD = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z][a-z]+(?=[A-Z])|['\w\-]+")


class VocabularyProcessor:
    """Texts as the numbers of their words, int64 [max_document_length], cut or filled with 0."""

    def __init__(self, max_document_length, min_frequency=0, vocabulary=None, tokenizer_fn=None):
        self.max_document_length, self.min_frequency = max_document_length, min_frequency
        self.vocabulary_ = vocabulary or _Vocabulary({"<UNK>": 0})
        self._tokenizer = tokenizer_fn or functools.partial(map, WORD.findall)

    def fit(self, raw_documents, unused_y=None):
        """Learns the words of the texts: in their order, or by frequency with `min_frequency`."""
        counts = collections.Counter(w for words in self._tokenizer(raw_documents) for w in words)
        if self.min_frequency > 0:
            words = sorted(sorted(counts), key=counts.get, reverse=True)
            counts = [word for word in words if counts[word] > self.min_frequency]
        for word in counts:
            self.vocabulary_.setdefault(word, len(self.vocabulary_))
        return self

    def transform(self, raw_documents):
        """Yields the numbers of each text."""
        for words in self._tokenizer(raw_documents):
            numbers = np.zeros(self.max_document_length, np.int64)
            known = [self.vocabulary_.get(word) for word in words[: self.max_document_length]]
            numbers[: len(known)] = known
            yield numbers

    def fit_transform(self, raw_documents, unused_y=None):
        raw_documents = list(raw_documents)
        return self.fit(raw_documents).transform(raw_documents)

    def save(self, filename):
        with open(filename, "wb") as file:
            pickle.dump(self, file)

    @staticmethod
    def restore(filename):
        with open(filename, "rb") as file:
            return pickle.load(file)


class _Vocabulary(dict):
    """{word: number}; 0 is the number of all words that are not in it."""

    _mapping = property(lambda self: self)

    def get(self, category):
        return super().get(category, 0)


DATASETS = {"mnist": input_data.load_mnist}


def load_dataset(name, size="small", test_with_fake_data=False):
    """A data set of DATASETS."""
    return DATASETS[name]()


def _module(name, **contents):
    made = types.ModuleType(name)
    vars(made).update(contents)
    return made


datasets = _module("datasets", load_dataset=load_dataset, DATASETS=DATASETS, mnist=input_data)
preprocessing = _module("preprocessing", VocabularyProcessor=VocabularyProcessor)
preprocessing.text = preprocessing
