"""The same models and the same model file on Apache Spark. Needs the extra ``[spark]`` and Java 17."""
