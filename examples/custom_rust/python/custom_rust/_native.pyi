from ziggurat._ziggurat import NativeService

double: NativeService
