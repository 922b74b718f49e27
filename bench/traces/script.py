# SPDX-License-Identifier: MIT
"""What scripts do: text into tables, tables into objects, objects into text; sorted, grouped, dropped."""
import json
import random
import re

random.seed(1)
names = [''.join(random.choice('abcdefgh') for _ in range(random.randint(3, 12))) for _ in range(400)]
rows = [{'name': random.choice(names), 'size': int(random.lognormvariate(5, 2)),
         'tags': random.sample(names, random.randint(0, 5))} for _ in range(2000)]
for _ in range(3):
    text = json.dumps(rows)
    rows = json.loads(text)
    groups = {}
    for row in rows:
        groups.setdefault(row['name'], []).append(row)
    words = re.findall(r'[a-h]{4,}', text)
    ranked = sorted(((len(group), name) for name, group in groups.items()), reverse=True)
    rows = [row for _, name in ranked for row in groups[name] if row['size'] % 7]
print(len(rows), len(words))
