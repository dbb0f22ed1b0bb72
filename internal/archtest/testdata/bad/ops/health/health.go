// Package health is too long.
package health

const Line1 = 1

const Line2 = 2

const Line3 = 3

const Line4 = 4

const Line5 = 5

const Line6 = 6

const Line7 = 7

const Line8 = 8

const Line9 = 9

const Line10 = 10

const Line11 = 11

const Line12 = 12

const Line13 = 13

const Line14 = 14

const Line15 = 15

const Line16 = 16

const Line17 = 17

const Line18 = 18

const Line19 = 19

const Line20 = 20

const Line21 = 21

const Line22 = 22

const Line23 = 23

const Line24 = 24

const Line25 = 25

const Line26 = 26

const Line27 = 27

const Line28 = 28

const Line29 = 29

const Line30 = 30

const Line31 = 31

const Line32 = 32

const Line33 = 33

const Line34 = 34

const Line35 = 35

const Line36 = 36

const Line37 = 37

const Line38 = 38

const Line39 = 39

const Line40 = 40

const Line41 = 41

const Line42 = 42

const Line43 = 43

const Line44 = 44

const Line45 = 45

const Line46 = 46

const Line47 = 47

const Line48 = 48

const Line49 = 49

const Line50 = 50

const Line51 = 51

const Line52 = 52

const Line53 = 53

const Line54 = 54

const Line55 = 55

const Line56 = 56

const Line57 = 57

const Line58 = 58

const Line59 = 59

const Line60 = 60

const Line61 = 61

const Line62 = 62

const Line63 = 63

const Line64 = 64

const Line65 = 65

const Line66 = 66

const Line67 = 67

const Line68 = 68

const Line69 = 69

const Line70 = 70

const Line71 = 71

const Line72 = 72

const Line73 = 73

const Line74 = 74

const Line75 = 75

const Line76 = 76

const Line77 = 77

const Line78 = 78

const Line79 = 79

const Line80 = 80

const Line81 = 81

const Line82 = 82

const Line83 = 83

const Line84 = 84

const Line85 = 85

const Line86 = 86

const Line87 = 87

const Line88 = 88

const Line89 = 89

const Line90 = 90

const Line91 = 91

const Line92 = 92

const Line93 = 93

const Line94 = 94

const Line95 = 95

const Line96 = 96

const Line97 = 97

const Line98 = 98

const Line99 = 99

const Line100 = 100

const Line101 = 101

const Line102 = 102

const Line103 = 103

const Line104 = 104

const Line105 = 105

const Line106 = 106

const Line107 = 107

const Line108 = 108

const Line109 = 109

const Line110 = 110

const Line111 = 111

const Line112 = 112

const Line113 = 113

const Line114 = 114

const Line115 = 115

const Line116 = 116

const Line117 = 117

const Line118 = 118

const Line119 = 119

const Line120 = 120

const Line121 = 121

const Line122 = 122

const Line123 = 123

const Line124 = 124

const Line125 = 125

const Line126 = 126

const Line127 = 127

const Line128 = 128

const Line129 = 129

const Line130 = 130

const Line131 = 131

const Line132 = 132

const Line133 = 133

const Line134 = 134

const Line135 = 135

const Line136 = 136

const Line137 = 137

const Line138 = 138

const Line139 = 139

const Line140 = 140

const Line141 = 141

const Line142 = 142

const Line143 = 143

const Line144 = 144

const Line145 = 145

const Line146 = 146

const Line147 = 147

const Line148 = 148

const Line149 = 149

const Line150 = 150

const Line151 = 151

const Line152 = 152

const Line153 = 153

const Line154 = 154

const Line155 = 155

const Line156 = 156

const Line157 = 157

const Line158 = 158

const Line159 = 159

const Line160 = 160

const Line161 = 161

const Line162 = 162

const Line163 = 163

const Line164 = 164

const Line165 = 165

const Line166 = 166

const Line167 = 167

const Line168 = 168

const Line169 = 169

const Line170 = 170

const Line171 = 171

const Line172 = 172

const Line173 = 173

const Line174 = 174

const Line175 = 175

const Line176 = 176

const Line177 = 177

const Line178 = 178

const Line179 = 179

const Line180 = 180

const Line181 = 181

const Line182 = 182

const Line183 = 183

const Line184 = 184

const Line185 = 185

const Line186 = 186

const Line187 = 187

const Line188 = 188

const Line189 = 189

const Line190 = 190

const Line191 = 191

const Line192 = 192

const Line193 = 193

const Line194 = 194

const Line195 = 195

const Line196 = 196

const Line197 = 197

const Line198 = 198

const Line199 = 199

const Line200 = 200

const Line201 = 201

const Line202 = 202

const Line203 = 203

const Line204 = 204

const Line205 = 205

const Line206 = 206

const Line207 = 207

const Line208 = 208

const Line209 = 209

const Line210 = 210

const Line211 = 211

const Line212 = 212

const Line213 = 213

const Line214 = 214

const Line215 = 215

const Line216 = 216

const Line217 = 217

const Line218 = 218

const Line219 = 219

const Line220 = 220

const Line221 = 221

const Line222 = 222

const Line223 = 223

const Line224 = 224

const Line225 = 225

const Line226 = 226

const Line227 = 227

const Line228 = 228

const Line229 = 229

const Line230 = 230

const Line231 = 231

const Line232 = 232

const Line233 = 233

const Line234 = 234

const Line235 = 235

const Line236 = 236

const Line237 = 237

const Line238 = 238

const Line239 = 239

const Line240 = 240

const Line241 = 241

const Line242 = 242

const Line243 = 243

const Line244 = 244

const Line245 = 245

const Line246 = 246

const Line247 = 247

const Line248 = 248

const Line249 = 249

const Line250 = 250
