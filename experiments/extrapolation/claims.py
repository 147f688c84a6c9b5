from typing import Any
CLAIMS=[]
def judge(found: Any): return {}
