"""RDT over languages and tasks, as the paper's tables have it: the deviation of a student from its teachers, in percent.

Two means are in use, and they differ. `mean_deviation` is the mean of the languages' deviations (the paper's first table);
`deviation_of_means` compares the means (the Avg column of its second table). Give both by name.
"""

from collections.abc import Mapping, Sequence

from vocab.errors import InputError


def deviation(student: float, teacher: float) -> float:
    """100 · (P_S − P_T) / P_T (MergeDistill, section 4, with the sign of its tables). Raises InputError for a teacher with 0."""
    if teacher == 0.0:
        raise InputError("found a teacher's score of 0; expected more: nothing deviates from 0 by percents")
    return 100.0 * (student - teacher) / teacher


def mean_deviation(student: Mapping[str, float], teachers: Mapping[str, Sequence[float]]) -> float:
    """The mean over languages of the deviation from each language's teachers (their mean, if it has several).

    Languages without a teacher do not count. Raises InputError if a teacher's language lacks a score of the student.
    """
    values = []
    for language, scores in teachers.items():
        if language not in student:
            raise InputError(f"found no score of the student in '{language}', in which it has a teacher; expected one")
        values.append(sum(deviation(student[language], score) for score in scores) / len(scores))
    if not values:
        raise InputError("found no teacher's score; expected one: RDT is the deviation from a teacher")
    return sum(values) / len(values)


def deviation_of_means(student: Sequence[float], teacher: Sequence[float]) -> float:
    """The deviation of the student's mean from the teacher's, over the same tasks or languages."""
    if len(student) != len(teacher) or not student:
        raise InputError(f"found {len(student)} scores of the student and {len(teacher)} of the teacher; expected as many of each")
    return deviation(sum(student) / len(student), sum(teacher) / len(teacher))
